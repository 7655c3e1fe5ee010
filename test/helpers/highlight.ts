const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
};

/**
 * Reads a highlight as a browser would: text, the five entities, and `<mark>` one after another.
 * @throws for anything else
 */
export function readHighlight(html: string): { readonly text: string; readonly marked: readonly string[] } {
  if (
    !/^(?:[^<>&"']|&(?:amp|lt|gt|quot|#39);|<mark>(?:[^<>&"']|&(?:amp|lt|gt|quot|#39);)*<\/mark>)*$/.test(
      html,
    )
  ) {
    throw new Error(`not a safe highlight: ${JSON.stringify(html)}`);
  }
  const decode = (part: string): string => part.replace(/&[#a-z0-9]+;/g, (entity) => ENTITIES[entity] ?? '');
  return {
    text: decode(html.replace(/<\/?mark>/g, '')),
    marked: Array.from(html.matchAll(/<mark>(.*?)<\/mark>/gs), (match) => decode(match[1] ?? '')),
  };
}

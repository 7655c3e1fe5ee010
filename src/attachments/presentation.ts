const UNKNOWN = 'application/octet-stream';
const SHOWN_NAME_MAX = 80; // code points
/** Types that a browser may show in place: it can't be made to run them. */
const INLINE = /^(?:image\/(?:png|jpeg|gif|webp|avif|apng|bmp)|audio\/[a-z0-9.+-]+|video\/[a-z0-9.+-]+)$/;

/** How a file is served: its type as a browser may see it, and whether to show it or save it (RFC 6266, RFC 8187). */
export function presentation(name: string, file_type: string): { type: string; disposition: string } {
  const file_name = shortened(name);
  const kind = INLINE.test(file_type) ? 'inline' : 'attachment';
  const type = file_type.startsWith('text/') ? UNKNOWN : file_type;
  const plain = file_name.replace(/[^\w .()-]/g, '_');
  const exact = encodeURIComponent(file_name.replace(/[\\/]/g, '_').toWellFormed()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return { type, disposition: `${kind}; filename="${plain}"; filename*=UTF-8''${exact}` };
}

/** The name without its middle where it is long: links, of which it is a part, must fit into a request's head. */
function shortened(name: string): string {
  const characters = Array.from(name);
  if (characters.length <= SHOWN_NAME_MAX) return name;
  return [...characters.slice(0, SHOWN_NAME_MAX - 20), ...characters.slice(-20)].join('');
}

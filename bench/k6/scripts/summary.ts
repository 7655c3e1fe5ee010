import { SUMMARY_FILE } from './settings.js';

/** k6 calls this at the end: the whole summary as JSON into SUMMARY_FILE, or else to stdout. */
export function handleSummary(data: unknown): Record<string, string> {
  return { [SUMMARY_FILE ?? 'stdout']: `${JSON.stringify(data, undefined, 2)}\n` };
}

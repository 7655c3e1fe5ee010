const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const UNITS = ['B', 'KB', 'MB', 'GB'];

export function timeOf(iso: string): string {
  return time.format(new Date(iso));
}
export function dayOf(iso: string): string {
  return day.format(new Date(iso));
}
export function momentOf(iso: string): string {
  return full.format(new Date(iso));
}

export function bytesOf(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** "ann", "ann and ben", "ann, ben and 3 more". */
export function namesOf(names: readonly string[], max = 3): string {
  if (names.length <= 1) return names[0] ?? '';
  const shown = names.slice(0, names.length > max ? max - 1 : names.length - 1);
  const rest = names.length - shown.length;
  return `${shown.join(', ')} and ${rest === 1 ? names.at(-1) : `${rest} more`}`;
}

/** An IPv4 range: its first address as a number, and how many leading bits are fixed. */
export interface Range {
  readonly base: number;
  readonly bits: number;
}

/** Reads `a.b.c.d/n`, or a lone address as a range of one; `undefined` for anything else, IPv6 included. */
export function parseRange(text: string): Range | undefined {
  const [address = "", length, ...rest] = text.split("/");
  const base = parseAddress(address);
  const bits = length === undefined ? 32 : /^\d{1,2}$/.test(length) ? Number(length) : -1;
  if (base === undefined || bits < 0 || bits > 32 || rest.length > 0) return undefined;
  return { base: firstOf(base, bits), bits };
}

/** Reads a dotted address, also in the form that IPv6 sockets show IPv4 peers in (`::ffff:1.2.3.4`). */
export function parseAddress(text: string): number | undefined {
  const parts = text.replace(/^::ffff:/i, "").split(".");
  if (parts.length !== 4) return undefined;
  let address = 0;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined;
    address = address * 256 + Number(part);
  }
  return address;
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

export function formatRange({ base, bits }: Range): string {
  return `${formatAddress(base)}/${bits}`;
}

export function contains(range: Range, address: number): boolean {
  return firstOf(address, range.bits) === range.base;
}

export function overlap(a: Range, b: Range): boolean {
  return a.bits <= b.bits ? contains(a, b.base) : contains(b, a.base);
}

export function sizeOf({ bits }: Range): number {
  return 2 ** (32 - bits);
}

function firstOf(address: number, bits: number): number {
  const size = 2 ** (32 - bits);
  return Math.floor(address / size) * size;
}

import type { Range } from "./ipv4.ts";
import { formatRange, parseRange } from "./ipv4.ts";

/** One entry of the operator's list: addresses that tasks may reach though their policy would not let them. */
export interface AllowEntry {
  readonly range: Range;
  /** Of TCP and UDP; `undefined` stands for every port and every protocol. */
  readonly port: number | undefined;
}

/** Reads `a.b.c.d`, `a.b.c.d/n` and either with `:port`; `undefined` for anything else, names and IPv6 included. */
export function parseAllowEntry(text: string): AllowEntry | undefined {
  const [addresses = "", port, ...rest] = text.split(":");
  const range = parseRange(addresses);
  if (range === undefined || rest.length > 0) return undefined;
  if (port === undefined) return { range, port: undefined };
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  return number >= 1 && number <= 65_535 ? { range, port: number } : undefined;
}

export function formatAllowEntry({ range, port }: AllowEntry): string {
  const addresses = formatRange(range).replace(/\/32$/, "");
  return port === undefined ? addresses : `${addresses}:${port}`;
}

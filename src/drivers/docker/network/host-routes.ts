import { readFile } from "node:fs/promises";
import type { Range } from "../../../core/index.ts";

/** A range that this machine reaches through one of its interfaces. */
export interface HostRoute {
  readonly face: string;
  readonly range: Range;
}

/**
 * The routes of this machine, but for the default one. Read from the kernel's table, because node's list of interfaces leaves
 * out every bridge that nobody is on yet. Empty where there is no such table.
 */
export async function readHostRoutes(): Promise<readonly HostRoute[]> {
  try {
    return parseRoutes(await readFile("/proc/net/route", "utf8"));
  } catch {
    return [];
  }
}

/** Lines of tab-separated columns: interface, destination, …, mask (the eighth); addresses are hexadecimal in host byte order. */
export function parseRoutes(table: string): readonly HostRoute[] {
  return table.split("\n").flatMap((line) => {
    const columns = line.split("\t");
    const [face, destination, mask] = [columns[0], columns[1], columns[7]];
    if (face === undefined || destination === undefined || mask === undefined) return [];
    if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask)) return [];
    const bits = Number.parseInt(mask, 16).toString(2).replaceAll("0", "").length;
    return bits === 0 ? [] : [{ face, range: { base: swapBytes(Number.parseInt(destination, 16)), bits } }];
  });
}

/** Every machine that engines run on is little-endian. */
function swapBytes(value: number): number {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes.readUInt32BE();
}

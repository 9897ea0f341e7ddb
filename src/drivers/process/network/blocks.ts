import { createHash } from "node:crypto";
import type { Range } from "../../../core/index.ts";
import { isTaskLink } from "./names.ts";

/** Two of the four addresses of a block can be used: the host's and the task's. */
const BLOCK_SIZE = 4;
/** As many numbers as fit into the names. */
const MOST_BLOCKS = 65_536;
/** A route for more addresses than this is one to the outside, which a network of our own inside it does not disturb. */
const WIDEST_ROUTE_BITS = 8;
/** What the kernel prints as the interface of a route that leads nowhere: a fence. */
const NOWHERE = "*";

/** One line of the host's routes. */
export interface Route {
  readonly link: string;
  readonly base: number;
  readonly bits: number;
}

export interface Block {
  readonly index: number;
  readonly hostAddress: string;
  readonly taskAddress: string;
}

/** Of each sandbox's network. */
export const BLOCK_BITS = 30;

/** Cuts a range of IPv4 addresses into blocks of four, one for each sandbox. Synchronous, so that two starts never get the same. */
export class NetworkBlocks {
  /** What is cut up: of a very wide range its first part. */
  readonly whole: Range;
  /** The whole range, from its first address. */
  readonly range: string;
  readonly #base: number;
  readonly #count: number;
  readonly #taken = new Set<number>();
  #foreign: readonly Route[] = [];
  #next: number;

  /**
   * @param range such as `10.212.0.0/16`.
   * @param owner where to begin: two daemons on one host seldom meet.
   * @throws RangeError for what is no range or too small for one block.
   */
  constructor(range: string, owner: string) {
    const parsed = parseRange(range);
    if (parsed === undefined) throw new RangeError(`"${range}" is no range of IPv4 addresses`);
    this.range = `${format(parsed.base)}/${parsed.bits}`;
    this.#base = parsed.base;
    this.#count = Math.min(MOST_BLOCKS, 2 ** (BLOCK_BITS - parsed.bits));
    this.whole = { base: parsed.base, bits: BLOCK_BITS - Math.log2(this.#count) };
    this.#next = createHash("sha256").update(owner).digest().readUInt32BE(8) % this.#count;
  }

  /**
   * One that is neither taken nor in use on the host. Goes round the range, so that an address is not used again soon.
   *
   * @param routes all of the host's, as they are now.
   * @param part from which part of the range.
   * @returns `undefined` when there is none.
   */
  take(routes: readonly Route[], part: Range = this.whole): Block | undefined {
    const inUse = routes.filter(({ link, bits }) => link !== NOWHERE && bits >= WIDEST_ROUTE_BITS);
    this.#foreign = inUse.filter(({ link }) => !isTaskLink(link));
    const [from, count] = [(part.base - this.#base) / BLOCK_SIZE, 2 ** (BLOCK_BITS - part.bits)];
    for (let step = 0; step < count; step += 1) {
      const index = from + ((this.#next + step) % count);
      if (this.#taken.has(index) || inUse.some((route) => overlaps(route, this.#first(index)))) continue;
      this.#taken.add(index);
      this.#next = (index + 1) % this.#count;
      const first = this.#first(index);
      return { index, hostAddress: format(first + 1), taskAddress: format(first + 2) };
    }
    return undefined;
  }

  giveBack(index: number): void {
    this.#taken.delete(index);
  }

  isTaken(index: number): boolean {
    return this.#taken.has(index);
  }

  /** Whether a caller with this address can only be a task: of ours, or of another daemon with the same range. */
  isTask(address: string): boolean {
    const value = parseAddress(address.replace(/^::ffff:/i, ""));
    if (value === undefined) return false;
    const index = Math.floor((value - this.#base) / BLOCK_SIZE);
    if (index < 0 || index >= this.#count) return false;
    return !this.#foreign.some((route) => overlaps(route, this.#first(index)));
  }

  #first(index: number): number {
    return this.#base + index * BLOCK_SIZE;
  }
}

/** @see proc(5), "/proc/net/route". Addresses there are hexadecimal, in the order of a little-endian machine. */
export function parseRoutes(text: string): readonly Route[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [link, destination, , , , , , mask] = line.trim().split(/\s+/);
      if (link === undefined || destination === undefined || mask === undefined) return [];
      const bits = fromKernel(mask).toString(2).replace(/0+$/, "").length;
      return [{ link, base: fromKernel(destination), bits }];
    });
}

function fromKernel(hex: string): number {
  const value = Number.parseInt(hex, 16);
  return [0, 8, 16, 24].reduce((sum, shift) => sum * 256 + ((value >>> shift) & 255), 0);
}

/** Whether a route leads to any address of the block that begins at `first`. */
function overlaps({ base, bits }: Route, first: number): boolean {
  const end = base + 2 ** (32 - bits);
  return base < first + BLOCK_SIZE && first < end;
}

function parseRange(text: string): { readonly base: number; readonly bits: number } | undefined {
  const [address = "", length = ""] = text.split("/");
  const value = parseAddress(address);
  const bits = /^\d{1,2}$/.test(length) ? Number(length) : Number.NaN;
  if (value === undefined || !(bits >= WIDEST_ROUTE_BITS && bits <= 30)) return undefined;
  return { base: value - (value % 2 ** (32 - bits)), bits };
}

function parseAddress(text: string): number | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined;
  const bytes = text.split(".").map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes.reduce((sum, byte) => sum * 256 + byte, 0) : undefined;
}

function format(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}

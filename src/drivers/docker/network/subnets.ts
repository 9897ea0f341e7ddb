import type { Range } from "../../../core/index.ts";
import { ExecutorError, formatAddress, formatRange, overlap, sizeOf } from "../../../core/index.ts";

/** One task network's addresses: a /29 with the gateway, the task and, if it has to join, the daemon. */
export interface Subnet {
  readonly range: Range;
  readonly cidr: string;
  readonly gateway: string;
  readonly taskAddress: string;
  readonly daemonAddress: string;
}

/** Of each task network. */
export const SUBNET_BITS = 29;

/** There is no free subnet left, for now: what is made ahead may give way. */
export class RangeUsedUp extends ExecutorError {
  constructor(whole: Range) {
    const reason = `every /${SUBNET_BITS} of the task network range ${formatRange(whole)} is in use`;
    super("ENGINE_FAILED", { reason });
  }
}

/**
 * Cuts a range into task networks. Synchronous, so that two makers at once never get the same; goes round the range before
 * it hands one out again, so that nothing on the host still remembers its last user.
 */
export class Subnets {
  /** What is cut up. */
  readonly whole: Range;
  readonly #slots: number;
  readonly #taken = new Set<number>();
  #foreign: readonly Range[] = [];
  #cursor: number;

  /** @param random 0 up to, not including, 1: where the round begins, so that two daemons seldom meet. */
  constructor(whole: Range, random: number) {
    this.whole = whole;
    this.#slots = Math.max(1, sizeOf(whole) / 2 ** (32 - SUBNET_BITS));
    this.#cursor = Math.floor(random * this.#slots);
  }

  /** What others use of the engine's address space. Replaces what was known. */
  setForeign(ranges: readonly Range[]): void {
    this.#foreign = ranges.filter((range) => overlap(range, this.whole));
  }

  /**
   * @param inUse further ranges that are taken at this moment.
   * @throws {@link RangeUsedUp} when the range has no free subnet left.
   */
  take(inUse: readonly Range[] = []): Subnet {
    const foreign = [...this.#foreign, ...inUse];
    for (let tries = 0; tries < this.#slots; tries += 1) {
      const slot = this.#cursor;
      this.#cursor = (this.#cursor + 1) % this.#slots;
      const subnet = this.#at(slot);
      if (this.#taken.has(slot) || foreign.some((range) => overlap(range, subnet.range))) continue;
      this.#taken.add(slot);
      return subnet;
    }
    throw new RangeUsedUp(this.whole);
  }

  release(range: Range): void {
    this.#taken.delete(this.#slotOf(range));
  }

  #slotOf(range: Range): number {
    return Math.floor((range.base - this.whole.base) / 2 ** (32 - SUBNET_BITS));
  }

  #at(slot: number): Subnet {
    const base = this.whole.base + slot * 2 ** (32 - SUBNET_BITS);
    const range = { base, bits: SUBNET_BITS };
    return subnetOf(range);
  }
}

export function subnetOf(range: Range): Subnet {
  return {
    range,
    cidr: formatRange(range),
    gateway: formatAddress(range.base + 1),
    taskAddress: formatAddress(range.base + 2),
    daemonAddress: formatAddress(range.base + 3),
  };
}

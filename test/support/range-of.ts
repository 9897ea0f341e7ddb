import { createHash } from "node:crypto";

/**
 * A range of task networks for one owner of a test: the same in each of its lives, as with one configuration, and seldom
 * another's. Engines do not know of each other's networks, so that two daemons on two engines of one machine, which is what tests
 * that run side by side are, could otherwise cut the same one twice.
 *
 * @param bits 20 or 24: room for 512 or for 32 task networks.
 */
export function rangeOf(owner: string, bits: 20 | 24): string {
  const [a = 0, b = 0] = createHash("sha256").update(owner).digest();
  return bits === 20 ? `10.${100 + (a % 100)}.${(b % 16) * 16}.0/20` : `10.${64 + (a % 128)}.${b}.0/24`;
}

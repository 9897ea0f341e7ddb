import type { NetworkPolicy } from "../task/network-policy.ts";
import type { Range } from "./ipv4.ts";
import { contains } from "./ipv4.ts";

/** The part of the task networks' range that belongs to each policy; a range may be too small to have one for all. */
export type PolicyRanges = Readonly<Record<NetworkPolicy, Range | undefined>>;

/**
 * Cuts the range of the task networks, so that an address tells what its task may reach: a quarter for `none`, a quarter for
 * `egress`, half for `internal`. A range of fewer than four networks is all the default's.
 *
 * @param networkBits how many leading bits of one task's network are fixed, such as 29.
 */
export function policyRanges(whole: Range, networkBits: number, fallback: NetworkPolicy): PolicyRanges {
  const none: PolicyRanges = { none: undefined, internal: undefined, egress: undefined };
  if (whole.bits + 2 > networkBits) return { ...none, [fallback]: whole };
  const quarter = 2 ** (30 - whole.bits);
  return {
    none: { base: whole.base, bits: whole.bits + 2 },
    egress: { base: whole.base + quarter, bits: whole.bits + 2 },
    internal: { base: whole.base + 2 * quarter, bits: whole.bits + 1 },
  };
}

/** The policy that an address of the range stands for. */
export function policyOf(ranges: PolicyRanges, address: number): NetworkPolicy | undefined {
  return (["none", "internal", "egress"] as const).find((policy) => {
    const range = ranges[policy];
    return range !== undefined && contains(range, address);
  });
}

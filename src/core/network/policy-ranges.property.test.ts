import fc from "fast-check";
import { expect, test } from "vitest";
import type { NetworkPolicy } from "../task/network-policy.ts";
import { NETWORK_POLICIES } from "../task/network-policy.ts";
import { formatRange, overlap, parseRange, sizeOf } from "./ipv4.ts";
import { policyOf, policyRanges } from "./policy-ranges.ts";

const policy = fc.constantFrom(...NETWORK_POLICIES);
const whole = fc
  .tuple(fc.nat(0xffffffff), fc.integer({ min: 8, max: 29 }))
  .map(([base, bits]) => ({ base: base - (base % 2 ** (32 - bits)), bits }));

test("the parts of a range do not meet and are the whole; an address tells its policy", () => {
  fc.assert(
    fc.property(whole, policy, fc.double({ min: 0, max: 0.999, noNaN: true }), (range, fallback, where) => {
      const parts = policyRanges(range, 29, fallback);
      const there = NETWORK_POLICIES.flatMap((name) => {
        const part = parts[name];
        return part === undefined ? [] : [{ name, part }];
      });
      expect(there.reduce((sum, { part }) => sum + sizeOf(part), 0)).toBe(sizeOf(range));
      for (const { name, part } of there) {
        expect(there.filter((other) => overlap(other.part, part))).toHaveLength(1);
        expect(overlap(part, range)).toBe(true);
        expect(policyOf(parts, part.base + Math.floor(where * sizeOf(part)))).toBe<NetworkPolicy>(name);
      }
      expect(policyOf(parts, range.base - 1)).toBeUndefined();
      expect(there.length === 3 || parts[fallback] !== undefined).toBe(true);
    }),
  );
});

test("the default range is cut in half and quarters, a tiny one not at all", () => {
  const parts = policyRanges({ base: 0x0ad50000, bits: 16 }, 29, "internal");
  const texts = Object.entries(parts).map(([name, part]) => [name, part && formatRange(part)]);
  expect(Object.fromEntries(texts)).toEqual({
    none: "10.213.0.0/18",
    egress: "10.213.64.0/18",
    internal: "10.213.128.0/17",
  });
  const tiny = parseRange("10.213.0.0/28") ?? { base: 0, bits: 0 };
  expect(policyRanges(tiny, 29, "egress")).toEqual({ none: undefined, internal: undefined, egress: tiny });
});

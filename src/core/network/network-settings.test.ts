import { expect, test } from "vitest";
import { parseRange } from "./ipv4.ts";
import type { NetworkFindings, NetworkSettings } from "./network-settings.ts";
import { DEFAULT_NETWORK_SETTINGS, offerNetworks } from "./network-settings.ts";
import { policyRanges } from "./policy-ranges.ts";

const ranges = policyRanges(parseRange("10.213.0.0/16") ?? { base: 0, bits: 0 }, 29, "internal");
const offer = (settings: Partial<NetworkSettings>, findings: Partial<NetworkFindings>) =>
  offerNetworks({ ...DEFAULT_NETWORK_SETTINGS, ...settings }, { ranges, noRules: undefined, ...findings });

test("with rules all three are on offer, up to what the operator lets callers have", () => {
  expect(offer({}, {})).toEqual({
    default: "internal",
    offered: ["none", "internal", "egress"],
    isFiltered: true,
    reasons: [],
  });
  expect(offer({ most: "internal" }, {}).offered).toEqual(["none", "internal"]);
  expect(offer({ most: "internal" }, {}).reasons).toEqual([
    expect.stringContaining("network.most is internal"),
  ]);
});

test("without rules egress is refused and says why, unless the operator consents", () => {
  const bare = offer({}, { noRules: "nft is not installed" });
  expect(bare).toMatchObject({ offered: ["none", "internal"], isFiltered: false });
  expect(bare.reasons.join()).toMatch(
    /services.*can be reached.*egress is not offered.*nft is not installed/,
  );
  expect(offer({ unfiltered: true }, { noRules: "nft is not installed" }).offered).toContain("egress");
});

test("where no way out can be made consent does not help, and a range too small has no part for it", () => {
  const stuck = offer({ unfiltered: true }, { noWayOut: "this host passes no packets on" });
  expect(stuck.offered).toEqual(["none", "internal"]);
  const tiny = policyRanges(parseRange("10.213.0.0/29") ?? { base: 0, bits: 0 }, 29, "internal");
  expect(offer({}, { ranges: tiny }).offered).toEqual(["internal"]);
});

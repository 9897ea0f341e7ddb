import { expect, test } from "vitest";
import { networkFindings } from "./diagnose-networks.ts";

const FAILED = "no rules hold tasks back on this host (nft says: failed to set rules)";

test.each([
  [
    "rules stand",
    { default: "internal", offered: ["none", "internal"], isFiltered: true, reasons: [] },
    "ok",
    /none, internal;.*get internal; rules on this host hold/,
  ],
  [
    "rules could not be set",
    { default: "internal", offered: ["internal"], isFiltered: false, reasons: [FAILED] },
    "limited",
    /failed to set rules/,
  ],
  [
    "the default is not on offer",
    { default: "egress", offered: ["none"], isFiltered: true, reasons: ["egress is not offered: so"] },
    "broken",
    /get egress, which is not on offer: they are refused.*egress is not offered: so/,
  ],
  [
    "nothing is held",
    { default: undefined, offered: [], isFiltered: false, reasons: ["no root"] },
    "limited",
    /not limited here; no root/,
  ],
] as const)("what tasks reach is told: %s", (_, report, state, text) => {
  expect(networkFindings(report)).toEqual([
    {
      area: "isolate",
      state,
      text: expect.stringMatching(text) as string,
      ...(state === "ok" ? {} : { advice: expect.any(String) as string }),
    },
  ]);
});

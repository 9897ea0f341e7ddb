import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AllowEntry, Range } from "../../core/index.ts";
import { NETWORK_POLICIES, parseAllowEntry, policyRanges } from "../../core/index.ts";
import { readDroppers } from "./forward-droppers.ts";
import type { RulesetPlan } from "./ruleset.ts";
import { removalText, rulesetText, tableName } from "./ruleset.ts";
import { findNft, runNft } from "./run-nft.ts";

const WHOLE: Range = { base: 0x0ad50000, bits: 16 };
const allow = (...entries: readonly string[]): readonly AllowEntry[] =>
  entries.flatMap((entry) => parseAllowEntry(entry) ?? []);
const planOf = (more: Partial<RulesetPlan> = {}): RulesetPlan => ({
  owner: "me",
  facePrefix: "t0123abcd-",
  whole: WHOLE,
  ranges: policyRanges(WHOLE, 29, "internal"),
  allow: [],
  resolvers: [],
  ...more,
});
/** The rules of one chain. */
const chain = (text: string, name: string): readonly string[] => {
  const body = new RegExp(`^  chain ${name} \\{\\n((?:    .*\\n)*)`, "m").exec(text)?.[1] ?? "";
  return body.split("\n").flatMap((line) => line.trim() || []);
};

describe("the rules", () => {
  test("begin by replacing the owner's own table, and touch no other", () => {
    const text = rulesetText(planOf());
    const table = tableName("me");
    expect(text.split("\n").slice(0, 3)).toEqual([
      `table inet ${table}`,
      `delete table inet ${table}`,
      `table inet ${table} {`,
    ]);
    expect(text.match(/table inet \S+/g)?.every((one) => one === `table inet ${table}`)).toBe(true);
    expect(removalText("me")).not.toContain("{");
    expect(tableName("you")).not.toBe(table);
  });

  test("look only at what comes through cables of this owner, or goes into one", () => {
    const text = rulesetText(planOf());
    for (const hook of ["input", "forward"]) {
      for (const rule of chain(text, hook).slice(1)) expect(rule).toMatch(/^(iif|oif)name "t0123abcd-\*" /);
    }
    for (const rule of chain(text, "postrouting").slice(1)) expect(rule).toMatch(/^ip saddr 10\.213\./);
  });

  test("end every chain of a task with a refusal, after answers, the list and the policy", () => {
    const text = rulesetText(planOf({ allow: allow("10.0.0.5:9000"), resolvers: ["10.9.9.9"] }));
    expect(chain(text, "to_host")).toEqual([
      "jump honest",
      "ct state established,related accept",
      "ip saddr 10.213.0.0/18 goto refuse",
      "jump listed",
      "ip saddr 10.213.64.0/18 ip daddr 10.9.9.9 tcp dport 53 accept",
      "ip saddr 10.213.64.0/18 ip daddr 10.9.9.9 udp dport 53 accept",
      "goto refuse",
    ]);
    expect(chain(text, "from_task")).toEqual([
      "jump honest",
      "ct state established,related accept",
      "ip daddr 10.213.0.0/16 goto refuse",
      "ip saddr 10.213.0.0/18 goto refuse",
      "jump listed",
      "ip saddr 10.213.64.0/18 ip daddr 10.9.9.9 tcp dport 53 accept",
      "ip saddr 10.213.64.0/18 ip daddr 10.9.9.9 udp dport 53 accept",
      "ip saddr 10.213.64.0/18 goto outside",
      "goto refuse",
    ]);
    expect(chain(text, "outside")[0]).toBe("ip daddr @closed goto refuse");
    expect(chain(text, "honest")).toEqual(["meta nfproto ipv6 drop", "ip saddr != 10.213.0.0/16 drop"]);
  });

  test("only egress goes out under the host's address, and internal where there is a list", () => {
    expect(chain(rulesetText(planOf()), "postrouting").slice(1)).toHaveLength(1);
    const listed = chain(rulesetText(planOf({ allow: allow("10.0.0.5") })), "postrouting").slice(1);
    expect(listed.map((rule) => rule.split(" ")[2])).toEqual(["10.213.64.0/18", "10.213.128.0/17"]);
  });

  const nft = process.getuid?.() === 0 ? findNft() : undefined;
  test.skipIf(nft === undefined)("are taken by nft whatever the settings are", async () => {
    const range = fc
      .tuple(fc.nat(0xdfffffff), fc.integer({ min: 8, max: 29 }))
      .map(([base, bits]) => ({ base: base - (base % 2 ** (32 - bits)), bits }));
    const entry = fc.record({
      range: fc
        .tuple(fc.nat(0xffffffff), fc.integer({ min: 0, max: 32 }))
        .map(([base, bits]) => ({ base: Math.floor(base / 2 ** (32 - bits)) * 2 ** (32 - bits), bits })),
      port: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
    });
    const plan = fc
      .record({
        owner: fc.string(),
        whole: range,
        fallback: fc.constantFrom(...NETWORK_POLICIES),
        allow: fc.array(entry, { maxLength: 4 }),
        resolvers: fc.array(fc.ipV4(), { maxLength: 3 }),
      })
      .map(({ fallback, ...rest }) => planOf({ ...rest, ranges: policyRanges(rest.whole, 29, fallback) }));
    await fc.assert(
      fc.asyncProperty(plan, async (wanted) => {
        // `-c` checks against the kernel and changes nothing.
        await runNft(nft ?? "", ["-c", "-f", "-"], rulesetText(wanted));
      }),
      { numRuns: 40 },
    );
  });
});

test("chains of others that drop what they do not know are found", () => {
  const chains = [
    { metainfo: { version: "1" } },
    { chain: { family: "ip", table: "filter", name: "FORWARD", hook: "forward", policy: "drop" } },
    { chain: { family: "ip6", table: "filter", name: "FORWARD", hook: "forward", policy: "accept" } },
    { chain: { family: "inet", table: "fw", name: "in", hook: "input", policy: "drop" } },
    { chain: { family: "ip", table: "filter", name: "DOCKER" } },
  ];
  expect(readDroppers(JSON.stringify({ nftables: chains }))).toEqual(["ip filter FORWARD"]);
});

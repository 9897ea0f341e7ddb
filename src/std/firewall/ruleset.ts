import { createHash } from "node:crypto";
import type { AllowEntry, PolicyRanges, Range } from "../../core/index.ts";
import { formatRange } from "../../core/index.ts";

/** What one daemon's rules are made from. */
export interface RulesetPlan {
  /** Names the table, so that each daemon has its own. */
  readonly owner: string;
  /** What the names of the host's ends of all task networks of this owner begin with, and no other interface's. */
  readonly facePrefix: string;
  /** The whole range that task networks are cut from, and its parts. */
  readonly whole: Range;
  readonly ranges: PolicyRanges;
  readonly allow: readonly AllowEntry[];
  /** Addresses of the name servers that tasks with egress may ask. */
  readonly resolvers: readonly string[];
}

/**
 * What `egress` does not open, but for the operator's list: what is not a public address, or what a host or a cloud keeps for
 * itself. Cloud metadata is in link-local, or (for some) in the private ranges and CGNAT.
 *
 * @see IANA, "IPv4 Special-Purpose Address Registry". The ranges for documentation are public as far as routers know.
 */
export const CLOSED_RANGES = [
  "0.0.0.0/8", // this network
  "10.0.0.0/8", // private
  "100.64.0.0/10", // carrier-grade NAT
  "127.0.0.0/8", // loopback
  "168.63.129.16/32", // what one cloud's hosts answer at, beside link-local
  "169.254.0.0/16", // link-local, cloud metadata
  "172.16.0.0/12", // private
  "192.0.0.0/24", // protocol assignments; metadata of one cloud
  "192.88.99.0/24", // 6to4 relays, reserved
  "192.168.0.0/16", // private
  "198.18.0.0/15", // benchmarks between networks
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved, broadcast
] as const;

/** Ahead of the engine's own chains, so that tasks are told at once; a refusal here is final, a pass is not. */
const PRIORITY = "filter - 10";

export function tableName(owner: string): string {
  return `hearth_${createHash("sha256").update(owner).digest("hex").slice(0, 12)}`;
}

/** The commands that make an owner's table anew, whole or not at all, whatever there was of it before. */
export function rulesetText(plan: RulesetPlan): string {
  const table = tableName(plan.owner);
  return `table inet ${table}\ndelete table inet ${table}\n${tableText(plan)}`;
}

/** The command that removes an owner's table; right also where there is none. */
export function removalText(owner: string): string {
  const table = tableName(owner);
  return `table inet ${table}\ndelete table inet ${table}\n`;
}

/**
 * One table, by the interface through which a packet leaves a task, and its address in there:
 *
 *     input    task → this host     nothing new, but what the list names, and a resolver here
 *     forward  task → elsewhere     by the policy of its address; never to another task
 *              elsewhere → task     answers only: what calls tasks is the daemon, from this host
 *     nat      tasks go out under the host's own address
 */
function tableText(plan: RulesetPlan): string {
  const { facePrefix, whole, ranges, allow, resolvers } = plan;
  const face = JSON.stringify(`${facePrefix}*`);
  const all = formatRange(whole);
  const askers = ranges.egress;
  const dns = askers === undefined ? [] : dnsRules(askers, resolvers);
  const none = ranges.none === undefined ? [] : [`ip saddr ${formatRange(ranges.none)} goto refuse`];
  const listed = allow.length === 0 ? [] : ["jump listed"];
  const chains: readonly (readonly [name: string, rules: readonly string[]])[] = [
    ["refuse", ["meta l4proto tcp reject with tcp reset", "reject with icmpx type admin-prohibited"]],
    ["listed", allow.flatMap(listRules)],
    // Task networks have no IPv6 and no other addresses: whatever comes all the same is forged.
    ["honest", ["meta nfproto ipv6 drop", `ip saddr != ${all} drop`]],
    [
      "outside",
      // Both what was dialled and where a translation on this host sends it.
      ["ip daddr @closed goto refuse", "ct original ip daddr @closed goto refuse", "accept"],
    ],
    [
      "to_host",
      ["jump honest", "ct state established,related accept", ...none, ...listed, ...dns, "goto refuse"],
    ],
    [
      "from_task",
      [
        "jump honest",
        "ct state established,related accept",
        `ip daddr ${all} goto refuse`,
        ...none,
        ...listed,
        ...dns,
        ...(askers === undefined ? [] : [`ip saddr ${formatRange(askers)} goto outside`]),
        "goto refuse",
      ],
    ],
    ["to_task", ["ct state established,related accept", "goto refuse"]],
    [
      "input",
      [`type filter hook input priority ${PRIORITY}; policy accept;`, `iifname ${face} jump to_host`],
    ],
    [
      "forward",
      [
        `type filter hook forward priority ${PRIORITY}; policy accept;`,
        `iifname ${face} jump from_task`,
        `oifname ${face} iifname != ${face} jump to_task`,
      ],
    ],
    [
      "postrouting",
      ["type nat hook postrouting priority srcnat; policy accept;", ...masquerades(plan, all, face)],
    ],
  ];
  const closed = `  set closed {\n    type ipv4_addr\n    flags interval\n    elements = { ${CLOSED_RANGES.join(", ")} }\n  }\n`;
  return `table inet ${tableName(plan.owner)} {\n${closed}${chains.map(chainText).join("")}}\n`;
}

function chainText([name, rules]: readonly [name: string, rules: readonly string[]]): string {
  return `  chain ${name} {\n${rules.map((rule) => `    ${rule}\n`).join("")}  }\n`;
}

/** What the task dialled counts, so that an entry for this host's own address also opens what is published there. */
function listRules({ range, port }: AllowEntry): readonly string[] {
  const dialled = `ct original ip daddr ${formatRange(range)}`;
  if (port === undefined) return [`${dialled} accept`];
  return ["tcp", "udp"].map(
    (protocol) => `meta l4proto ${protocol} ${dialled} ct original proto-dst ${port} accept`,
  );
}

function dnsRules(askers: Range, resolvers: readonly string[]): readonly string[] {
  return resolvers.flatMap((resolver) =>
    ["tcp", "udp"].map(
      (protocol) => `ip saddr ${formatRange(askers)} ip daddr ${resolver} ${protocol} dport 53 accept`,
    ),
  );
}

function masquerades({ ranges, allow }: RulesetPlan, all: string, face: string): readonly string[] {
  const out = allow.length === 0 ? [ranges.egress] : [ranges.egress, ranges.internal];
  return out.flatMap((range) =>
    range === undefined
      ? []
      : [`ip saddr ${formatRange(range)} ip daddr != ${all} oifname != ${face} masquerade`],
  );
}

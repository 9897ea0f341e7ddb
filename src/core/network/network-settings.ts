import type { NetworkReport } from "../ports/driver.ts";
import type { NetworkPolicy } from "../task/network-policy.ts";
import { isAtMost, NETWORK_POLICIES } from "../task/network-policy.ts";
import type { AllowEntry } from "./allow-entry.ts";
import type { PolicyRanges } from "./policy-ranges.ts";

/** What the operator says about what tasks reach. */
export interface NetworkSettings {
  /** For tasks that ask for nothing; at most `most`. */
  readonly default: NetworkPolicy;
  /** What a request may ask for at most. */
  readonly most: NetworkPolicy;
  readonly allow: readonly AllowEntry[];
  /** Whether `egress` is given also where nothing keeps it from private networks and cloud metadata. */
  readonly unfiltered: boolean;
  /** IPv4 addresses of the name servers of tasks with egress; the host's own where there are none. */
  readonly dns: readonly string[];
}

export const DEFAULT_NETWORK_SETTINGS: NetworkSettings = {
  default: "internal",
  most: "egress",
  allow: [],
  unfiltered: false,
  dns: [],
};

/** What a driver found out about this host. */
export interface NetworkFindings {
  readonly ranges: PolicyRanges;
  /** Why no rules can be set here; `undefined` where they are. */
  readonly noRules: string | undefined;
  /** Why no way out can be made here, rules or not. */
  readonly noWayOut?: string | undefined;
}

/** What there is on offer, and why the rest is not. */
export function offerNetworks(settings: NetworkSettings, findings: NetworkFindings): NetworkReport {
  const refusals = NETWORK_POLICIES.map((policy) => ({
    policy,
    reason: refusal(policy, settings, findings),
  }));
  const { noRules } = findings;
  const weaker =
    noRules === undefined
      ? []
      : [
          `no rules hold tasks back on this host (${noRules}): services that listen on all its addresses can be reached by tasks`,
          ...(settings.allow.length === 0 ? [] : ["for the same reason network.allow opens nothing"]),
        ];
  return {
    default: settings.default,
    offered: refusals.flatMap(({ policy, reason }) => (reason === undefined ? [policy] : [])),
    isFiltered: noRules === undefined,
    reasons: [...weaker, ...refusals.flatMap(({ reason }) => reason ?? [])],
  };
}

function refusal(
  policy: NetworkPolicy,
  { most, unfiltered }: NetworkSettings,
  { ranges, noRules, noWayOut }: NetworkFindings,
): string | undefined {
  if (!isAtMost(policy, most)) return `${policy} is not offered: network.most is ${most}`;
  if (ranges[policy] === undefined)
    return `${policy} is not offered: the range of the task networks is too small`;
  if (policy !== "egress") return undefined;
  if (noWayOut !== undefined) return `egress is not offered: ${noWayOut}`;
  if (noRules === undefined || unfiltered) return undefined;
  return `egress is not offered: nothing would keep it from private networks and cloud metadata (${noRules}); network.unfiltered: true gives it all the same`;
}

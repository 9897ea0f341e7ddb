/**
 * What a sandbox can reach. `none`: nothing, it only answers. `internal`: what the operator's list allows and nothing else.
 * `egress`: the outside as well, but no private range, no cloud metadata and nothing of this host unless the list allows it.
 */
export const NETWORK_POLICIES = ["none", "internal", "egress"] as const;

export type NetworkPolicy = (typeof NETWORK_POLICIES)[number];

export function isNetworkPolicy(text: string): text is NetworkPolicy {
  return (NETWORK_POLICIES as readonly string[]).includes(text);
}

/** Whether a policy lets a task reach no more than another one does. */
export function isAtMost(policy: NetworkPolicy, most: NetworkPolicy): boolean {
  return NETWORK_POLICIES.indexOf(policy) <= NETWORK_POLICIES.indexOf(most);
}

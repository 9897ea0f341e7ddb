export type { Firewall, FirewallOptions, OpenedFirewall } from "./firewall.ts";
export { openFirewall } from "./firewall.ts";
export { forwardDroppers } from "./forward-droppers.ts";
export { hostResolvers } from "./resolvers.ts";
export type { RulesetPlan } from "./ruleset.ts";
export { CLOSED_RANGES, rulesetText, tableName } from "./ruleset.ts";

import { existsSync } from "node:fs";
import type {
  Log,
  NetworkPolicy,
  NetworkReport,
  NetworkSettings,
  PolicyRanges,
  Range,
} from "../../../core/index.ts";
import { ExecutorError, offerNetworks } from "../../../core/index.ts";
import type { Firewall } from "../../../std/index.ts";
import { hostResolvers, openFirewall } from "../../../std/index.ts";
import type { Owner } from "../container/labels.ts";
import { ownerLabel } from "../container/labels.ts";
import type { Engine } from "../engine/engine.ts";
import { facePrefix } from "./network-name.ts";
import type { ReachPlan } from "./reach.ts";

/** In a task's own network nothing listens there, so that a name is refused at once. */
const NO_RESOLVER = ["127.0.0.1"];

export interface NetworkRulesOptions {
  readonly owner: Owner;
  readonly reach: ReachPlan;
  readonly whole: Range;
  readonly ranges: PolicyRanges;
  readonly settings: NetworkSettings;
  readonly log: Log | undefined;
}

/** What each policy means on this engine, and the rules on its host that hold tasks to it. */
export class NetworkRules implements AsyncDisposable {
  readonly settings: NetworkSettings;
  readonly ranges: PolicyRanges;
  readonly #reach: ReachPlan;
  readonly #resolvers: readonly string[];
  readonly #firewall: Firewall | undefined;
  #noRules: string | undefined;

  private constructor(
    { settings, ranges, reach }: NetworkRulesOptions,
    resolvers: readonly string[],
    firewall: Firewall | undefined,
    noRules: string | undefined,
  ) {
    this.settings = settings;
    this.ranges = ranges;
    this.#reach = reach;
    this.#resolvers = resolvers;
    this.#firewall = firewall;
    this.#noRules = noRules;
  }

  /** Sets the rules where they can be set. Never rejects. */
  static async open(engine: Engine, options: NetworkRulesOptions): Promise<NetworkRules> {
    const { owner, reach, whole, ranges, settings, log } = options;
    const resolvers = settings.dns.length > 0 ? settings.dns : hostResolvers();
    const elsewhere = whyElsewhere(engine, reach);
    if (elsewhere !== undefined) return new NetworkRules(options, resolvers, undefined, elsewhere);
    const { firewall, noRules } = await openFirewall({
      owner: owner.ownerId,
      facePrefix: facePrefix(owner.ownerId),
      whole,
      ranges,
      allow: settings.allow,
      resolvers,
      log,
      // A task that outlives this life must not gain by it. An engine that does not answer may run one.
      isNeeded: () => hasNetworks(engine, owner).catch(() => true),
    });
    return new NetworkRules(options, resolvers, firewall, noRules);
  }

  report(): NetworkReport {
    return offerNetworks(this.settings, { ranges: this.ranges, noRules: this.#whyNone() });
  }

  /** What a wish comes to. @throws {@link ExecutorError} NETWORK_UNAVAILABLE. */
  resolve(wish: NetworkPolicy | "default"): NetworkPolicy {
    const policy = wish === "default" ? this.settings.default : wish;
    const { offered, reasons } = this.report();
    if (offered.includes(policy)) return policy;
    const reason = reasons.find((one) => one.startsWith(`${policy} is`)) ?? "it is not offered";
    throw new ExecutorError("NETWORK_UNAVAILABLE", { network: policy, offered, reason });
  }

  /** Whether the engine itself cuts a network of this policy off, besides the rules. */
  isInternal(policy: NetworkPolicy): boolean {
    // Nothing can be published on an internal network, and it has no route to what the list allows.
    if (policy === "egress" || this.#reach.type === "published") return false;
    return policy === "none" || this.settings.allow.length === 0 || this.#whyNone() !== undefined;
  }

  /**
   * What the engine's resolver asks for the names of others; empty for the engine's own choice. Without one of ours it would ask
   * for networks that are cut off, too, from the host itself where the host's resolver is on loopback (CVE-2024-29018).
   */
  dns(policy: NetworkPolicy): readonly string[] {
    return policy === "egress" ? this.#resolvers : NO_RESOLVER;
  }

  /** Holds that a network just made is on this machine, and so behind the rules. @throws {@link ExecutorError} NETWORK_UNAVAILABLE. */
  confirm(face: string, policy: NetworkPolicy): void {
    if (this.#whyNone() !== undefined || existsSync(`/sys/class/net/${face}`)) return;
    this.#noRules = "the engine's networks are not among this machine's interfaces";
    // It may still be on offer, by the operator's consent.
    this.resolve(policy);
  }

  async check(): Promise<void> {
    await this.#firewall?.check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#firewall?.[Symbol.asyncDispose]();
  }

  #whyNone(): string | undefined {
    if (this.#noRules !== undefined) return this.#noRules;
    return this.#firewall?.isUp === true ? undefined : "they were removed and could not be set again";
  }
}

/** Why rules that we set would not be where the tasks are. */
function whyElsewhere(engine: Engine, reach: ReachPlan): string | undefined {
  if (reach.type === "member") return "the daemon runs in a container with a network of its own";
  return engine.isLocal && engine.isSocket ? undefined : "the engine is not on this machine";
}

async function hasNetworks(engine: Engine, { ownerId }: Owner): Promise<boolean> {
  const label = ownerLabel(ownerId);
  return (await engine.networks.list()).some(({ labels }) =>
    Object.entries(labels).some(([name, value]) => `${name}=${value}` === label),
  );
}

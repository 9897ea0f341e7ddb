import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type {
  Log,
  NetworkFindings,
  NetworkPolicy,
  NetworkReport,
  NetworkSettings,
  PolicyRanges,
  Range,
} from "../../../core/index.ts";
import { ExecutorError, offerNetworks } from "../../../core/index.ts";
import type { Firewall } from "../../../std/index.ts";
import { forwardDroppers, hostResolvers, openFirewall } from "../../../std/index.ts";
import { NetworkNames } from "./names.ts";

/** That of iptables, which the rules see to themselves. */
const PASSED_CHAIN = "ip filter FORWARD";
const FORWARDING = "/proc/sys/net/ipv4/ip_forward";

export interface ProcessRulesOptions {
  readonly owner: string;
  readonly whole: Range;
  readonly ranges: PolicyRanges;
  readonly settings: NetworkSettings;
  /** A folder of ours. */
  readonly stateDirectory: string;
  readonly log: Log | undefined;
}

/** What each policy means for processes of this host, and the rules that hold tasks to it. */
export class ProcessRules implements AsyncDisposable {
  readonly ranges: PolicyRanges;
  /** A list of name servers for tasks with egress, in place of the host's; `undefined` where there are none to name. */
  readonly resolvConf: string | undefined;
  readonly #settings: NetworkSettings;
  readonly #firewall: Firewall | undefined;
  readonly #noRules: string | undefined;
  /** What an operator should know before tasks get egress. */
  readonly #remarks: readonly string[];

  private constructor(
    { ranges, settings }: ProcessRulesOptions,
    opened: { readonly firewall: Firewall | undefined; readonly noRules: string | undefined },
    resolvConf: string | undefined,
    remarks: readonly string[],
  ) {
    this.ranges = ranges;
    this.#remarks = remarks;
    this.resolvConf = resolvConf;
    this.#settings = settings;
    this.#firewall = opened.firewall;
    this.#noRules = opened.noRules;
  }

  /** Sets the rules where they can be set. */
  static async open(options: ProcessRulesOptions): Promise<ProcessRules> {
    const { owner, whole, ranges, settings, log } = options;
    const resolvers = settings.dns.length > 0 ? settings.dns : hostResolvers();
    const facePrefix = new NetworkNames(owner).linkPrefix;
    const opened = await openFirewall({
      ...{ owner, facePrefix, whole, ranges, resolvers, log, allow: settings.allow },
      // A task that outlives this life must not gain by it.
      isNeeded: () => readdirSync("/sys/class/net").some((name) => name.startsWith(facePrefix)),
      needsForwardPass: leadsOut(settings) && whyNoForwarding() === undefined,
    });
    const resolvConf = resolvers.length === 0 ? undefined : writeResolvConf(options, resolvers);
    const rules = new ProcessRules(
      options,
      opened,
      resolvConf,
      await remarksOn(resolvers, settings, opened.firewall),
    );
    const { isFiltered, reasons } = rules.report();
    if (!isFiltered) log?.log("warn", "firewall.failed", { driver: "process", reasons });
    else if (settings.default === "egress" && reasons.length > 0)
      log?.log("warn", "driver.degraded", { driver: "process", reasons });
    return rules;
  }

  report(): NetworkReport {
    const report = offerNetworks(this.#settings, this.#findings());
    return { ...report, reasons: [...report.reasons, ...this.#remarks] };
  }

  /** What a wish comes to. @throws {@link ExecutorError} NETWORK_UNAVAILABLE. */
  resolve(wish: NetworkPolicy | "default"): NetworkPolicy {
    const policy = wish === "default" ? this.#settings.default : wish;
    const { offered, reasons } = this.report();
    if (offered.includes(policy)) return policy;
    const reason = reasons.find((one) => one.startsWith(`${policy} is`)) ?? "it is not offered";
    throw new ExecutorError("NETWORK_UNAVAILABLE", { network: policy, offered, reason });
  }

  /** Whether tasks of a policy have a route to anywhere but the host's end of their cable. */
  hasWayOut(policy: NetworkPolicy): boolean {
    if (policy === "egress") return true;
    return policy === "internal" && this.#settings.allow.length > 0 && this.#whyNone() === undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#firewall?.[Symbol.asyncDispose]();
  }

  #findings(): NetworkFindings {
    const noRules = this.#whyNone();
    // A way out is rules as well: they translate addresses.
    const noWayOut = noRules === undefined ? whyNoForwarding() : `no way out can be made (${noRules})`;
    return { ranges: this.ranges, noRules, noWayOut };
  }

  #whyNone(): string | undefined {
    if (this.#noRules !== undefined) return this.#noRules;
    return this.#firewall?.isUp === true ? undefined : "they were removed and could not be set again";
  }
}

/** It is the host's to say whether it passes packets on; we do not switch it on behind its operator's back. */
function whyNoForwarding(): string | undefined {
  const isOn = readFileSync(FORWARDING, "latin1").trim() !== "0";
  return isOn ? undefined : "this host passes no packets on: sysctl -w net.ipv4.ip_forward=1";
}

function writeResolvConf({ stateDirectory }: ProcessRulesOptions, resolvers: readonly string[]): string {
  const file = join(stateDirectory, "resolv.conf");
  mkdirSync(stateDirectory, { recursive: true });
  writeFileSync(file, resolvers.map((address) => `nameserver ${address}\n`).join(""), { mode: 0o644 });
  return file;
}

/** Whether any policy that can be asked for may lead beyond this host. */
function leadsOut({ most, allow }: NetworkSettings): boolean {
  return most === "egress" || (most === "internal" && allow.length > 0);
}

async function remarksOn(
  resolvers: readonly string[],
  settings: NetworkSettings,
  firewall: Firewall | undefined,
): Promise<readonly string[]> {
  if (firewall === undefined || !leadsOut(settings)) return [];
  const forwarding = whyNoForwarding();
  if (forwarding !== undefined)
    return settings.allow.length === 0
      ? []
      : [`network.allow opens only what is on this host itself: ${forwarding}`];
  const { passProblem } = firewall;
  const droppers = (await forwardDroppers()).filter(
    (chain) => chain !== PASSED_CHAIN || passProblem !== undefined,
  );
  const names =
    resolvers.length > 0 || settings.most !== "egress"
      ? []
      : ["this host's name servers are on loopback, where tasks cannot ask them: set network.dns for egress"];
  const walls = droppers.map((chain) => {
    const cause = chain === PASSED_CHAIN ? `; ${passProblem}` : "";
    return `the host's own firewall drops what it does not know (${chain}${cause}): it must let tasks with a way out pass (docs/network.md)`;
  });
  return [...names, ...walls];
}

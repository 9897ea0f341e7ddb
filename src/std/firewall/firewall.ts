import type { Log } from "../../core/index.ts";
import { Scope } from "../scope.ts";
import { sleep } from "../sleep.ts";
import { lowerForwardPass, raiseForwardPass } from "./forward-pass.ts";
import type { RulesetPlan } from "./ruleset.ts";
import { removalText, rulesetText, tableName } from "./ruleset.ts";
import { findNft, runNft } from "./run-nft.ts";

/** How long rules that somebody flushed are missing at most. */
const CHECK_MS = 15_000;

export interface FirewallOptions extends RulesetPlan {
  readonly log: Log | undefined;
  /** Asked at the end: whether something still runs behind the rules, which then stay for the next life. */
  readonly isNeeded: () => boolean | Promise<boolean>;
  /**
   * Whether what the rules let out also needs to pass a `FORWARD` chain of the host's own; `false` removes what an earlier life
   * set for that. Default: somebody else, such as an engine, sees to it.
   */
  readonly needsForwardPass?: boolean;
  /** Default: 15 s. */
  readonly checkMs?: number;
}

/** This owner's rules on this host. Disposing removes them, unless something still needs them. */
export interface Firewall extends AsyncDisposable {
  /** Whether they stood when they were last looked at. */
  readonly isUp: boolean;
  /** Why the host's own `FORWARD` chain could not be made to let tasks pass, where that is needed. */
  readonly passProblem: string | undefined;
  /** Looks whether the rules stand as they were set, and sets them anew if not. Never rejects. */
  check(): Promise<void>;
}

export type OpenedFirewall =
  | { readonly firewall: Firewall; readonly noRules: undefined }
  | { readonly firewall: undefined; readonly noRules: string };

/** Sets an owner's rules on the network that this process is in, and keeps them; or says why that cannot be done. Never rejects. */
export async function openFirewall(options: FirewallOptions): Promise<OpenedFirewall> {
  const without = (noRules: string): OpenedFirewall => ({ firewall: undefined, noRules });
  if (process.platform !== "linux") return without("this host is no Linux");
  if (process.getuid?.() !== 0) return without("setting them needs root");
  const nft = findNft();
  if (nft === undefined) return without("nft, of the package nftables, is not installed");
  const rules = new Rules(nft, options);
  try {
    await rules.set();
  } catch (error) {
    return without(`nft says: ${error instanceof Error ? error.message : "unknown"}`);
  }
  rules.keep();
  return { firewall: rules, noRules: undefined };
}

class Rules implements Firewall {
  isUp = false;
  passProblem: string | undefined;
  readonly #nft: string;
  readonly #options: FirewallOptions;
  readonly #scope = new Scope();
  /** As `nft` prints what it was given. */
  #listing = "";
  #work: Promise<void> = Promise.resolve();

  constructor(nft: string, options: FirewallOptions) {
    this.#nft = nft;
    this.#options = options;
  }

  /** @throws Error with what nft said. */
  async set(): Promise<void> {
    await runNft(this.#nft, ["-f", "-"], rulesetText(this.#options));
    this.#listing = await this.#list();
    this.isUp = true;
    await this.#pass();
  }

  keep(): void {
    this.#scope.spawn(async (signal) => {
      for (;;) {
        await sleep(this.#options.checkMs ?? CHECK_MS, signal);
        await this.check();
      }
    });
  }

  check(): Promise<void> {
    // One after the other: a look in the middle of a setting would see neither.
    this.#work = this.#work.then(() => this.#look());
    return this.#work;
  }

  async #look(): Promise<void> {
    const { log } = this.#options;
    const seen = await this.#list().catch(() => "");
    if (this.#scope.signal.aborted) return;
    if (seen === this.#listing && this.isUp) {
      await this.#pass();
      return;
    }
    try {
      await this.set();
      log?.log("warn", "firewall.restored", { table: tableName(this.#options.owner) });
    } catch (error) {
      if (this.isUp) log?.log("error", "firewall.failed", { error });
      this.isUp = false;
    }
  }

  /** Looked at each time: the host's chain is rewritten by whoever owns it, such as an engine that starts after us. */
  async #pass(): Promise<void> {
    const { needsForwardPass, facePrefix } = this.#options;
    if (needsForwardPass === true) this.passProblem = (await raiseForwardPass(facePrefix)).problem;
    else if (needsForwardPass === false) await lowerForwardPass(facePrefix).catch(() => undefined);
  }

  async #list(): Promise<string> {
    return await runNft(this.#nft, ["-s", "list", "table", "inet", tableName(this.#options.owner)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope[Symbol.asyncDispose]();
    await this.#work;
    const { isNeeded, log, owner, facePrefix, needsForwardPass } = this.#options;
    try {
      if (await isNeeded()) return;
      // The pass first: it is safe only behind the rules.
      if (needsForwardPass !== undefined) await lowerForwardPass(facePrefix);
      await runNft(this.#nft, ["-f", "-"], removalText(owner));
    } catch (error) {
      log?.log("warn", "firewall.failed", { step: "removing", error });
    }
  }
}

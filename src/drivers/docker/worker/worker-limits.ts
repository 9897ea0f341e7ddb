import type { Log } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";

/** A limit of processes, as engines take it. */
export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

const GIBIBYTE = 1_073_741_824;

/** As the reference gives them (`contracts/indexify.md` section 6.3), soft as hard. */
export const RAISED_ULIMITS: readonly Ulimit[] = [
  ["core", 0],
  ["memlock", GIBIBYTE],
  ["stack", GIBIBYTE],
  ["msgqueue", GIBIBYTE],
  ["nofile", 1_000_000],
].map(([name, value]) => ({ Name: String(name), Soft: Number(value), Hard: Number(value) }));

/** What an engine gives that may not raise its own limits: those it has itself, without core files. */
export const OWN_ULIMITS: readonly Ulimit[] = [{ Name: "core", Soft: 0, Hard: 0 }];

/** runc says the first, crun and youki the others. */
const REFUSED = /error setting rlimit|setrlimit|set rlimit|RLIMIT_/i;

/** An engine inside a container often may not raise limits, and starts nothing that asks for more. Found out by the first worker. */
export class WorkerLimits {
  readonly #log: Log | undefined;
  #mayRaise = true;

  constructor(log: Log | undefined) {
    this.#log = log;
  }

  get ulimits(): readonly Ulimit[] {
    return this.#mayRaise ? RAISED_ULIMITS : OWN_ULIMITS;
  }

  /** Whether a start with these limits failed because of them, so that it is worth another try. */
  blames(tried: readonly Ulimit[], failure: unknown): boolean {
    if (tried !== RAISED_ULIMITS || !(failure instanceof ExecutorError) || !REFUSED.test(failure.message))
      return false;
    if (this.#mayRaise) this.#log?.log("warn", "worker.limits-kept", { error: failure });
    this.#mayRaise = false;
    return true;
  }
}

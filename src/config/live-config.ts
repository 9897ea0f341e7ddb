import type { HostCapacity, Settings } from "../core/index.ts";
import type { Entry } from "./describe.ts";
import { describeConfig } from "./describe.ts";
import type { Fault } from "./fault.ts";
import type { Loaded } from "./load.ts";
import { applyPatch, takeLive } from "./patch.ts";
import type { Config } from "./schema.ts";
import { toSettings } from "./to-settings.ts";

export type Change =
  | { readonly isApplied: true; readonly notes: readonly string[]; readonly changed: readonly string[] }
  | { readonly isApplied: false; readonly faults: readonly Fault[] };

/** The settings while the daemon runs: one owner, changed as a whole or not at all. */
export class LiveConfig {
  readonly #host: HostCapacity;
  readonly #apply: (settings: Settings, config: Config) => void;
  #loaded: Loaded;

  /** @param apply brings a checked change into force; it must not throw. */
  constructor(loaded: Loaded, host: HostCapacity, apply: (settings: Settings, config: Config) => void) {
    this.#loaded = loaded;
    this.#host = host;
    this.#apply = apply;
  }

  /** Every setting in force, secrets masked. */
  describe(): readonly Entry[] {
    return describeConfig(this.#loaded);
  }

  /** Checks a change and brings it into force, or names every fault and changes nothing. */
  change(patch: unknown): Change {
    const result = applyPatch(this.#loaded, patch);
    if (result.loaded === undefined) return { isApplied: false, faults: result.faults };
    const { settings, notes } = toSettings(result.loaded.config, this.#host);
    this.#loaded = result.loaded;
    this.#apply(settings, result.loaded.config);
    return { isApplied: true, notes, changed: result.changed };
  }

  /**
   * Brings into force what the file, the environment and the flags say now; changes made over the API end with it.
   *
   * @returns the settings that differ and wait for the next start.
   */
  replace(fresh: Loaded): { readonly notes: readonly string[]; readonly needRestart: readonly string[] } {
    const { loaded, needRestart } = takeLive(this.#loaded, fresh);
    const { settings, notes } = toSettings(loaded.config, this.#host);
    this.#loaded = loaded;
    this.#apply(settings, loaded.config);
    return { notes, needRestart };
  }
}

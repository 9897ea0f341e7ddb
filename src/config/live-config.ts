import type { HostCapacity, Settings } from "../core/index.ts";
import type { Entry } from "./describe.ts";
import { describeConfig } from "./describe.ts";
import type { Fault } from "./fault.ts";
import { valueAt } from "./layers.ts";
import type { Loaded } from "./load.ts";
import { applyPatch, withLive } from "./patch.ts";
import type { Config } from "./schema.ts";
import { TABLE } from "./table.ts";
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
   * Takes over a configuration that was read anew: what may change while running comes into force at once, as a whole.
   *
   * @returns the keys whose new value waits for a restart.
   */
  replace(fresh: Loaded): { readonly notes: readonly string[]; readonly needRestart: readonly string[] } {
    const isChanged = (path: readonly string[]): boolean =>
      JSON.stringify(valueAt(fresh.config, path)) !== JSON.stringify(valueAt(this.#loaded.config, path));
    const needRestart = TABLE.rows
      .filter((row) => row.isLive !== true && isChanged(row.path))
      .map((row) => row.key);
    const config = withLive(this.#loaded.config, fresh.config);
    const { settings, notes } = toSettings(config, this.#host);
    this.#loaded = { ...fresh, config };
    this.#apply(settings, config);
    return { notes, needRestart };
  }
}

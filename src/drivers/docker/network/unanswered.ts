import { ExecutorError } from "../../../core/index.ts";
import type { Engine } from "../engine/engine.ts";
import { isMissing } from "../engine/engine-error.ts";

/** How often an engine that answers again is asked for a network before it counts as never made. */
const LOOKS = 5;
/** No more are remembered; what is forgotten is removed by the next life. */
const MOST_NAMES = 64;

/** Networks whose making got no answer: a hung engine may make them when it goes on, and then nobody knows of them. */
export class UnansweredNetworks {
  readonly #engine: Engine;
  /** Names, with the looks that are left for each. */
  readonly #looks = new Map<string, number>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get isEmpty(): boolean {
    return this.#looks.size === 0;
  }

  /** Takes note of a failed create if the engine may still carry it out. */
  note(name: string, thrown: unknown): void {
    const isOpen = thrown instanceof ExecutorError && thrown.code === "ENGINE_UNAVAILABLE";
    if (isOpen && this.#looks.size < MOST_NAMES) this.#looks.set(name, LOOKS);
  }

  /** Removes those that are there by now. @throws EngineError; {@link ExecutorError} ENGINE_UNAVAILABLE. */
  async remove(): Promise<void> {
    if (this.isEmpty) return;
    const rows = new Map((await this.#engine.networks.list()).map((row) => [row.name, row.id]));
    for (const [name, looks] of [...this.#looks]) {
      const id = rows.get(name);
      if (id !== undefined) await this.#removeOne(id);
      if (id !== undefined || looks <= 1) this.#looks.delete(name);
      else this.#looks.set(name, looks - 1);
    }
  }

  async #removeOne(id: string): Promise<void> {
    try {
      await this.#engine.networks.remove(id);
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown;
    }
  }
}

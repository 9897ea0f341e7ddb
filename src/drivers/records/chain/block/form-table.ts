import type { AttemptFacts } from "../../../../core/index.ts";
import { ATTEMPT_DOORS, CALL_ENDS, canonical, READINGS } from "../../../../core/index.ts";
import type { Rarity } from "../attempt-rows.ts";
import { STARTS, unpackKinds } from "../attempt-rows.ts";

/** Above every status, and above every value of `kinds`. */
const [STATUSES, KINDS] = [1024, 256];

/** The forms of one block's attempts, each written once. */
export class FormTable {
  readonly #indexes = new Map<number | string, number>();
  readonly texts: string[] = [];
  #lastKey = -1;
  #lastIndex = 0;

  clear(): void {
    this.#indexes.clear();
    this.texts.length = 0;
    this.#lastKey = -1;
  }

  /** @param factsIndex the facts' place in their batch; a table is of one batch. */
  indexOf(
    kinds: number,
    status: number,
    factsIndex: number,
    facts: AttemptFacts,
    rarity: Rarity | undefined,
  ): number {
    const key = (factsIndex * STATUSES + status) * KINDS + kinds;
    if (rarity?.error !== undefined) {
      const { error, exitCode = "", signal = "", facts: told = "" } = rarity;
      return this.#find(`${key} ${error} ${exitCode} ${JSON.stringify([signal, told])}`, () =>
        formText(kinds, status, facts, rarity),
      );
    }
    // Nearly all are like the one before.
    if (key === this.#lastKey) return this.#lastIndex;
    this.#lastIndex = this.#find(key, () => formText(kinds, status, facts, undefined));
    this.#lastKey = key;
    return this.#lastIndex;
  }

  #find(key: number | string, write: () => string): number {
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const index = this.texts.push(write()) - 1;
    this.#indexes.set(key, index);
    return index;
  }
}

function formText(kinds: number, status: number, facts: AttemptFacts, rarity: Rarity | undefined): string {
  const { end, start, door, reading } = unpackKinds(kinds);
  const { cpuMillis, memoryBytes, gpuIds, gpuMemoryBytes, network } = facts;
  return canonical({
    booked: { cpuMillis, memoryBytes, gpuIds, gpuMemoryBytes, network },
    digest: facts.digest,
    door: ATTEMPT_DOORS[door],
    error: rarity?.error,
    exitCode: rarity?.exitCode,
    facts: rarity?.facts,
    image: facts.image,
    isolation: facts.isolation,
    isolationAsked: facts.isolationAsked,
    outcome: CALL_ENDS[end],
    reading: READINGS[reading],
    sandbox: facts.sandbox,
    signal: rarity?.signal,
    start: STARTS[start],
    status: status === 0 ? undefined : status,
    taskKey: facts.taskKey,
    type: "attempt",
  });
}

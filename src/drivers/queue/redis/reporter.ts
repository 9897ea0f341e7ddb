import type { Claim, CommitResult, Completion, JobEvent } from "../../../core/index.ts";
import type { Base } from "./base.ts";
import { told } from "./base.ts";
import { carryOver } from "./carry-over.ts";
import type { Tally } from "./figures.ts";
import { nameOf, type Place } from "./names.ts";
import type { Outgoing } from "./outgoing.ts";
import { BURY } from "./scripts/ending.ts";
import type { StepBatches } from "./step-batches.ts";

export interface ReporterParts {
  readonly base: Base;
  readonly batches: StepBatches;
  readonly tally: Tally;
  readonly outgoing: Outgoing;
}

/** How many completions are remembered here, for a Redis that comes back without the last of them. */
const REMEMBERED = 1000;
const HOST_LANE = "";

/** Says what became of entries: each in the order of its own lane, and until it was heard. */
export class Reporter {
  readonly #parts: ReporterParts;
  readonly #recent = new Map<string, { readonly claim: Claim; readonly completion: Completion }>();
  #seq = 0;

  constructor(parts: ReporterParts) {
    this.#parts = parts;
  }

  async commit(claim: Claim, completion: Completion): Promise<CommitResult> {
    const { base, batches } = this.#parts;
    const record = JSON.stringify({
      attempt: claim.attempt,
      stream: claim.stream,
      entry: claim.entryId,
      life: base.life,
      host: base.options.consumer,
      atMs: base.clock.wallMs(),
      result: completion.result,
    });
    const step = { verb: "commit", claim: told(claim), record, list: rowsOf(completion.events) } as const;
    const result = await this.#end(claim, async (place) =>
      readResult(await batches.run(place, claim.stream, step)),
    );
    if (result === "committed") this.#remember(claim, completion);
    return this.#count(result, "committed");
  }

  async bury(claim: Claim, reason: string, events: readonly JobEvent[]): Promise<CommitResult> {
    const { base } = this.#parts;
    const fields = Object.entries(claim.fields).flatMap(([name, value]) => [`field:${name}`, value]);
    const more = { claims: [told(claim)], reason, deaths: claim.deaths, fields, list: rowsOf(events) };
    const result = await this.#end(claim, async (place) =>
      readResult(await base.run(BURY, place, [claim.stream], more)),
    );
    return this.#count(result, "deadLettered");
  }

  async publish(events: readonly JobEvent[], claim?: Claim): Promise<boolean> {
    const { base, batches, outgoing } = this.#parts;
    const place = claim === undefined ? base.eventsPlace : base.placeOf(claim.stream);
    const key = claim === undefined ? base.limits.events : claim.stream;
    this.#seq += 1;
    const about = claim === undefined ? {} : { claim: told(claim) };
    const step = { verb: "publish", ...about, seq: this.#seq, list: rowsOf(events) } as const;
    const lane = claim === undefined ? HOST_LANE : nameOf(claim);
    return await outgoing.run(lane, async () => {
      const isHeard = Number(await batches.run(place, key, step)) === 1;
      await carryOver(base, place);
      return isHeard;
    });
  }

  /** Redis gave out again what it had heard the end of, as it has lost its last moments: it hears it once more. */
  hasEnded(claim: Claim): boolean {
    const ended = this.#recent.get(nameOf(claim));
    if (ended === undefined) return false;
    this.commit({ ...ended.claim, attempt: claim.attempt }, ended.completion).catch(() => undefined); // closing; it will be asked again
    return true;
  }

  async #end(claim: Claim, work: (place: Place) => Promise<CommitResult>): Promise<CommitResult> {
    const { base, outgoing } = this.#parts;
    const place = base.placeOf(claim.stream);
    return await outgoing.run(nameOf(claim), async () => {
      const result = await work(place);
      await carryOver(base, place);
      return result;
    });
  }

  #remember(claim: Claim, completion: Completion): void {
    const name = nameOf(claim);
    this.#recent.delete(name);
    this.#recent.set(name, { claim, completion });
    if (this.#recent.size <= REMEMBERED) return;
    const [oldest] = this.#recent.keys();
    if (oldest !== undefined) this.#recent.delete(oldest);
  }

  #count(result: CommitResult, as: "committed" | "deadLettered"): CommitResult {
    if (result === "committed") this.#parts.tally[as] += 1;
    if (result === "lost") this.#parts.tally.lost += 1;
    return result;
  }
}

function rowsOf(events: readonly JobEvent[]): readonly (readonly [string, string])[] {
  return events.map(({ type, json }) => [type, JSON.stringify(json)]);
}

function readResult(reply: unknown): CommitResult {
  if (reply === "committed" || reply === "recorded" || reply === "lost") return reply;
  throw new Error(`a script answered ${String(reply)}`);
}

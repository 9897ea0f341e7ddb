import type { Claim, CommitResult, Completion, DeadLetter, JobEvent } from "../../../core/index.ts";
import { isSafeSegment } from "../../../core/index.ts";

/** One entry as the queue keeps it. */
export interface Entry {
  readonly stream: string;
  readonly entryId: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly jobId: string;
  attempt: number;
  deaths: number;
  failures: number;
  /** The last attempt of which something was published; 0 before. */
  saidOf: number;
  /** Who holds it, and in which life; nobody for one that waits. */
  owner: { readonly consumer: string; readonly life: string; readonly untilMs: number } | undefined;
}

export interface MemoryQueueOptions {
  readonly nowMs: () => number;
  readonly wallMs: () => number;
  readonly leaseMs: number;
}

/** What hosts share when there is no Redis: one process's own queue. */
export class MemoryQueue {
  readonly options: MemoryQueueOptions;
  readonly events: JobEvent[] = [];
  readonly completions = new Map<string, { readonly by: string; readonly completion: Completion }>();
  readonly #entries = new Map<string, Entry>();
  readonly #dead: (DeadLetter & { readonly by: string })[] = [];
  readonly #commands = new Map<string, string[]>();
  readonly #listeners = new Set<() => void>();
  #made = 0;

  constructor(options: MemoryQueueOptions) {
    this.options = options;
  }

  /** @returns the entry's id. */
  add(stream: string, fields: Readonly<Record<string, string>>): string {
    this.#made += 1;
    const entryId = `${this.options.wallMs()}-${this.#made}`;
    const { id = "" } = fields;
    const jobId = isSafeSegment(id) ? id : `${entryId}.${stream.replaceAll(/[^A-Za-z0-9]/g, "_")}`;
    const counts = { attempt: 0, deaths: 0, failures: 0, saidOf: 0 };
    const entry: Entry = { stream, entryId, fields, jobId, ...counts, owner: undefined };
    this.#entries.set(`${stream} ${entryId}`, entry);
    this.changed();
    return entryId;
  }

  /** Somebody deletes it, whoever holds it. */
  delete(stream: string, entryId: string): void {
    this.#entries.delete(`${stream} ${entryId}`);
  }

  /** In the order they came in. */
  entries(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  send(jobId: string, message: string): void {
    this.#commands.set(jobId, [...(this.#commands.get(jobId) ?? []), message]);
    this.changed();
  }

  takeCommands(jobId: string): readonly string[] {
    const messages = this.#commands.get(jobId) ?? [];
    this.#commands.delete(jobId);
    return messages;
  }

  /** @returns whether `life` holds this attempt; an entry that somebody deleted is still its holder's. */
  owns(claim: Claim, life: string): Entry | undefined {
    const entry = this.#entries.get(`${claim.stream} ${claim.entryId}`);
    if (entry === undefined) return undefined;
    return entry.attempt === claim.attempt && entry.owner?.life === life ? entry : undefined;
  }

  /** Whether this attempt, in this life of its host, is the job's completion. */
  isCompletedBy(claim: Claim, life: string): boolean {
    return this.completions.get(claim.jobId)?.by === attemptOf(claim, life);
  }

  commit(claim: Claim, life: string, completion: Completion, isDeleted: boolean): CommitResult {
    const by = attemptOf(claim, life);
    const recorded = this.completions.get(claim.jobId);
    if (recorded !== undefined) {
      if (recorded.by === by) return "committed";
      this.delete(claim.stream, claim.entryId);
      return "recorded";
    }
    if (!isDeleted && this.owns(claim, life) === undefined) return "lost";
    this.completions.set(claim.jobId, { by, completion });
    this.events.push(...completion.events);
    this.delete(claim.stream, claim.entryId);
    return "committed";
  }

  bury(claim: Claim, life: string, reason: string, events: readonly JobEvent[]): CommitResult {
    const by = attemptOf(claim, life);
    if (this.#dead.some((letter) => letter.by === by)) return "committed";
    if (this.completions.has(claim.jobId)) {
      this.delete(claim.stream, claim.entryId);
      return "recorded";
    }
    if (this.owns(claim, life) === undefined) return "lost";
    const { stream, entryId, jobId, deaths, fields } = claim;
    const atMs = this.options.wallMs();
    this.#made += 1;
    const id = `${atMs}-${this.#made}`;
    this.#dead.push({ id, stream, entryId, jobId, reason, deaths, atMs, fields, by });
    this.events.push(...events);
    this.delete(stream, entryId);
    return "committed";
  }

  deadLetters(limit: number): readonly DeadLetter[] {
    return this.#dead.slice(0, limit).map(({ by: _by, ...letter }) => letter);
  }

  replay(ids: readonly string[] | "all"): number {
    const chosen = this.#dead.filter(({ id }) => ids === "all" || ids.includes(id));
    for (const letter of chosen) {
      this.#dead.splice(this.#dead.indexOf(letter), 1);
      this.add(letter.stream, letter.fields);
    }
    return chosen.length;
  }

  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** @returns a function that ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function attemptOf({ stream, entryId, attempt }: Claim, life: string): string {
  return `${stream} ${entryId} ${attempt} ${life}`;
}

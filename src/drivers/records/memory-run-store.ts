import type { NewRun, RunEnding, RunId, RunLimits, RunMark, RunRecord, RunStore } from "../../core/index.ts";

/** A store that forgets everything with its process: for tests, and for a daemon without a state directory. */
export class MemoryRunStore implements RunStore {
  readonly #limits: RunLimits;
  readonly #nowMs: () => number;
  readonly #runs = new Map<RunId, RunRecord>();
  readonly #keys = new Map<string, RunId>();
  readonly #answers = new Map<RunId, Uint8Array>();
  #answerBytes = 0;

  constructor(limits: RunLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  begin(run: NewRun): Promise<RunRecord | undefined> {
    this.#sweep();
    const holder = run.key === undefined ? undefined : this.#keys.get(run.key);
    if (holder !== undefined) return Promise.resolve(this.#runs.get(holder));
    this.#runs.set(run.runId, { ...run, end: undefined, endedAtMs: undefined, placement: undefined });
    if (run.key !== undefined) this.#keys.set(run.key, run.runId);
    return Promise.resolve(undefined);
  }

  end(runId: RunId, { end, endedAtMs, placement, answer, freesKey }: RunEnding): Promise<void> {
    const run = this.#runs.get(runId);
    if (run === undefined || run.end !== undefined) return Promise.resolve();
    if (freesKey && run.key !== undefined) this.#keys.delete(run.key);
    const key = freesKey ? undefined : run.key;
    this.#runs.set(runId, { ...run, key, end, endedAtMs, placement });
    if (answer !== undefined) {
      this.#answers.set(runId, answer);
      this.#answerBytes += answer.length;
    }
    this.#sweep();
    return Promise.resolve();
  }

  get(runId: RunId): Promise<RunRecord | undefined> {
    this.#sweep();
    return Promise.resolve(this.#runs.get(runId));
  }

  answer(runId: RunId): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#answers.get(runId));
  }

  running(limit: number): Promise<readonly RunRecord[]> {
    const running = [...this.#runs.values()].filter(({ end }) => end === undefined);
    running.sort((a, b) => order(b.createdAtMs, b.runId, a.createdAtMs, a.runId));
    return Promise.resolve(running.slice(0, limit));
  }

  ended(limit: number, before?: RunMark): Promise<readonly RunRecord[]> {
    this.#sweep();
    const ended = [...this.#runs.values()].filter(
      ({ endedAtMs, runId }) =>
        endedAtMs !== undefined &&
        (before === undefined || order(endedAtMs, runId, before.endedAtMs, before.runId) < 0),
    );
    ended.sort((a, b) => order(b.endedAtMs ?? 0, b.runId, a.endedAtMs ?? 0, a.runId));
    return Promise.resolve(ended.slice(0, limit));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#runs.clear();
    this.#keys.clear();
    this.#answers.clear();
    return Promise.resolve();
  }

  #sweep(): void {
    const oldest = this.#nowMs() - this.#limits.ageMs;
    for (const run of this.#runs.values()) {
      if (run.endedAtMs !== undefined && run.endedAtMs < oldest) this.#forget(run);
    }
    for (const hasKey of [false, true]) {
      for (const run of this.#runs.values()) {
        if (this.#runs.size <= this.#limits.runs) break;
        if (run.end !== undefined && (run.key !== undefined) === hasKey) this.#forget(run);
      }
    }
    for (const runId of this.#answers.keys()) {
      if (this.#answerBytes <= this.#limits.bytes) return;
      this.#dropAnswer(runId);
    }
  }

  #forget(run: RunRecord): void {
    this.#dropAnswer(run.runId);
    this.#runs.delete(run.runId);
    if (run.key !== undefined) this.#keys.delete(run.key);
  }

  #dropAnswer(runId: RunId): void {
    const answer = this.#answers.get(runId);
    if (answer === undefined) return;
    this.#answers.delete(runId);
    this.#answerBytes -= answer.length;
    const run = this.#runs.get(runId);
    if (run?.end?.type === "answered") this.#runs.set(runId, { ...run, end: { ...run.end, isKept: false } });
  }
}

/** By time, then by name. */
function order(aMs: number, aId: string, bMs: number, bId: string): number {
  if (aMs !== bMs) return aMs - bMs;
  if (aId === bId) return 0;
  return aId < bId ? -1 : 1;
}

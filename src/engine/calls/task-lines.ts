import type { DoorName, SandboxId, TaskKey, TaskSpec } from "../../core/index.ts";
import { isExpired } from "../../core/index.ts";
import type { EngineContext } from "../context.ts";
import type { SandboxOwner } from "../sandboxes/sandbox-owner.ts";
import { TaskLine } from "./task-line.ts";

/** How long the lines of tasks that have nothing left are kept at least, for the memory of their failures. */
const FORGET_TICK_MS = 60_000;

/** The lines of all tasks, and through them every sandbox. */
export class TaskLines {
  readonly #context: () => EngineContext;
  readonly #lines = new Map<TaskKey, TaskLine>();

  constructor(context: () => EngineContext) {
    this.#context = context;
  }

  get(key: TaskKey): TaskLine | undefined {
    return this.#lines.get(key);
  }

  getOrMake(key: TaskKey, task: TaskSpec, door: DoorName): TaskLine {
    const found = this.#lines.get(key);
    if (found !== undefined) return found;
    const line = new TaskLine(this.#context(), key, task, door);
    this.#lines.set(key, line);
    return line;
  }

  /** As they are now: what the caller does to them may change the lines themselves. */
  all(): readonly TaskLine[] {
    return [...this.#lines.values()];
  }

  owners(): readonly SandboxOwner[] {
    return this.all().flatMap((line) => line.owners);
  }

  find(sandboxId: SandboxId): SandboxOwner | undefined {
    return this.owners().find((owner) => owner.id === sandboxId);
  }

  waitingCount(): number {
    let count = 0;
    for (const line of this.#lines.values()) count += line.waiting.length;
    return count;
  }

  /** When one of them next has something to do that only time decides: at once if a caller waits, infinity for never. */
  nextDueMs(nowMs: number, idleTimeoutMs: number): number {
    let dueMs = this.#lines.size > 0 ? nowMs + FORGET_TICK_MS : Number.POSITIVE_INFINITY;
    for (const line of this.#lines.values()) {
      if (line.waiting.length > 0) return nowMs;
      for (const owner of line.owners) {
        if (owner.isIdle) dueMs = Math.min(dueMs, owner.lastUsedMs + idleTimeoutMs);
      }
    }
    return dueMs;
  }

  /** Refuses callers who have waited too long, removes sandboxes idle for too long, forgets what has nothing left. */
  expire(nowMs: number, idleTimeoutMs: number): void {
    for (const line of this.all()) {
      line.expire(nowMs);
      for (const owner of [...line.owners]) {
        if (owner.pins === 0 && isExpired(owner.state, nowMs, idleTimeoutMs)) owner.stop("idle", "ask");
      }
      if (line.isForgettable(nowMs)) this.#lines.delete(line.key);
    }
  }
}

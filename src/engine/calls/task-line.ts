import type { DoorName, TaskKey, TaskSpec } from "../../core/index.ts";
import { asId, ExecutorError } from "../../core/index.ts";
import type { EngineContext } from "../context.ts";
import type { Placement } from "../executor.ts";
import { gpuWaitReason } from "../gpus/check-gpus.ts";
import type { SandboxOwner } from "../sandboxes/sandbox-owner.ts";
import type { StartInProgress } from "../sandboxes/start-sandbox.ts";
import { hostHasMemory, startSandbox } from "../sandboxes/start-sandbox.ts";
import { thawSandbox } from "../sandboxes/thaw-sandbox.ts";
import type { Attempt } from "./attempt.ts";
import { StartHistory } from "./start-history.ts";

/** What one more caller of a task would meet. */
export type LineOutlook =
  | { readonly type: "slot"; readonly owner: SandboxOwner }
  /** A sandbox on its way will have a slot, or the task may have no more of them. */
  | { readonly type: "wait" }
  | { readonly type: "thaw"; readonly owner: SandboxOwner }
  | { readonly type: "start" }
  | { readonly type: "refused"; readonly error: ExecutorError };

/**
 * Everything of one task: its callers in their order, its sandboxes, and the starts and wakings under way for it. Callers share
 * them: a new sandbox is only asked for when those that serve, and those on their way, have no slot for the next caller.
 */
export class TaskLine {
  readonly key: TaskKey;
  readonly task: TaskSpec;
  readonly door: DoorName;
  readonly #context: EngineContext;
  readonly #owners: SandboxOwner[] = [];
  #waiting: Attempt[] = [];
  readonly #starts = new Set<StartInProgress>();
  readonly #thaws = new Map<SandboxOwner, AbortController>();
  #usualCallMs: number | undefined;
  readonly #history = new StartHistory();

  constructor(context: EngineContext, key: TaskKey, task: TaskSpec, door: DoorName) {
    this.#context = context;
    this.key = key;
    this.task = task;
    this.door = door;
  }

  /** How long a call of it usually takes, later calls counting more; `undefined` before the first answer. */
  get usualCallMs(): number | undefined {
    return this.#usualCallMs;
  }

  /** A call of it was answered after that long. */
  timed(callMs: number): void {
    const usualMs = this.#usualCallMs;
    this.#usualCallMs = usualMs === undefined ? callMs : usualMs + (callMs - usualMs) * NEWEST_WEIGHT;
  }

  get owners(): readonly SandboxOwner[] {
    return this.#owners;
  }

  get waiting(): readonly Attempt[] {
    return this.#waiting;
  }

  get starts(): ReadonlySet<StartInProgress> {
    return this.#starts;
  }

  /** Nothing is left that would have to be remembered, except a task that keeps failing. */
  isForgettable(nowMs: number): boolean {
    return (
      this.#owners.length === 0 &&
      this.#waiting.length === 0 &&
      this.#starts.size === 0 &&
      this.#history.isForgettable(nowMs)
    );
  }

  /** A sandbox that could take one more call now; the earliest made first, so that later ones may fall idle. */
  pick(): SandboxOwner | undefined {
    const slots = this.#context.settings().slotsPerSandbox;
    for (const owner of this.#owners) if (owner.hasSlot(slots)) return owner;
    return undefined;
  }

  enqueue(attempt: Attempt, where: "back" | "front"): void {
    if (attempt.boundTo?.isServing === false) {
      attempt.fail(serverGone());
      return;
    }
    if (where === "back") this.#waiting.push(attempt);
    else this.#waiting.unshift(attempt);
    attempt.queued();
    this.supply();
    this.#context.armTick();
  }

  /** A caller that went away. What was started for it goes on, unless nobody is left and it only waits for room. */
  drop(attempt: Attempt): void {
    this.#waiting = this.#waiting.filter((one) => one !== attempt);
    if (this.#waiting.length === 0) this.#cancelWishes();
  }

  adopt(owner: SandboxOwner): void {
    this.#owners.push(owner);
  }

  /** A sandbox changed: forget it once it is gone, and see who can be served. */
  changed(owner: SandboxOwner): void {
    if (!owner.isServing) this.#refuseBoundTo(owner);
    if (owner.state.type === "gone") {
      const at = this.#owners.indexOf(owner);
      if (at >= 0) this.#owners.splice(at, 1);
    }
    this.supply();
  }

  /** Serves who can be served, and asks for more sandboxes while there are more callers than slots on their way. */
  supply(): void {
    if (this.#waiting.length === 0) return;
    this.#serve();
    this.#cancelSurplus();
    while (this.#waitingForAny() > this.#slotsComing()) {
      const frozen = this.#frozen();
      if (frozen !== undefined) this.#thaw(frozen);
      else if (!this.#start()) return;
    }
  }

  /** What one more caller would meet; the same steps as `supply` takes, and nothing is changed by asking. */
  foresee(): LineOutlook {
    const owner = this.pick();
    if (owner !== undefined) return { type: "slot", owner };
    if (this.#waitingForAny() < this.#slotsComing()) return { type: "wait" };
    const frozen = this.#frozen();
    return frozen === undefined ? this.#startOutlook() : { type: "thaw", owner: frozen };
  }

  /** Refuses everybody who waits, and stops wanting more. */
  refuse(error: (attempt: Attempt) => ExecutorError): void {
    this.#refuse(() => true, error);
  }

  #refuse(isMeant: (attempt: Attempt) => boolean, error: (attempt: Attempt) => ExecutorError): void {
    const refused = this.#waiting.filter(isMeant);
    this.#waiting = this.#waiting.filter((attempt) => !isMeant(attempt));
    this.#cancelWishes();
    for (const attempt of refused) attempt.fail(error(attempt));
  }

  /** The start failed that they wait for. Whoever is bound to a server that serves does not. */
  #refuseUnbound(error: ExecutorError): void {
    this.#refuse(
      ({ boundTo }) => boundTo === undefined,
      () => error,
    );
  }

  #refuseBoundTo(owner: SandboxOwner): void {
    const bound = this.#waiting.filter(({ boundTo }) => boundTo === owner);
    if (bound.length === 0) return;
    this.#waiting = this.#waiting.filter(({ boundTo }) => boundTo !== owner);
    for (const attempt of bound) attempt.fail(serverGone());
  }

  /** Refuses those whose wait is over. Time in which a start makes progress is not counted: it has deadlines of its own. */
  expire(nowMs: number): void {
    if (this.#waiting.length === 0) return;
    const { queueTimeoutMs } = this.#context.settings();
    const isUnderWay = [...this.#starts].some((start) => start.phase !== "admitting") || this.#isThawing();
    const late: Attempt[] = [];
    for (const attempt of this.#waiting) {
      if (isUnderWay) attempt.waitingSinceMs = nowMs;
      const limitMs = Math.min(queueTimeoutMs, attempt.options.queueTimeoutMs ?? queueTimeoutMs);
      if (nowMs - attempt.waitingSinceMs >= limitMs) late.push(attempt);
    }
    for (const attempt of late) {
      this.drop(attempt);
      const waitedMs = Math.round(nowMs - attempt.startedAtMs);
      attempt.fail(new ExecutorError("QUEUE_TIMEOUT", { waitedMs, reason: this.waitReason() }));
    }
  }

  /** Why the first caller does not run yet, as a sentence. */
  waitReason(): string {
    const phases = [...this.#starts].map((start) => start.phase);
    if (phases.includes("starting")) return "its sandbox starts";
    if (phases.includes("resolving")) return "its image is looked up or pulled";
    if (this.#isThawing()) return "its sandbox wakes";
    if (this.#isRoomInMaking()) return ROOM_IN_MAKING;
    if (phases.includes("admitting")) return roomReason(this.#context, this.task);
    if (this.#thaws.size > 0) return CPU_IS_HELD;
    return "all slots of its sandboxes are taken";
  }

  /** A start came through, or did not. */
  startEnded(start: StartInProgress, failure: ExecutorError | undefined): void {
    this.#starts.delete(start);
    if (failure === undefined) {
      this.#history.succeeded();
      return;
    }
    if (start.isUnwanted) {
      this.supply();
      return;
    }
    this.#history.failed(failure, this.#context.clock.nowMs());
    const hasOther = this.#owners.some((owner) => owner.isForAll) || this.#starts.size > 0;
    if (!hasOther) this.#refuseUnbound(failure);
  }

  thawEnded(owner: SandboxOwner): void {
    this.#thaws.delete(owner);
    this.supply();
  }

  #serve(): void {
    for (;;) {
      const next = this.#next();
      if (next === undefined) return;
      const { attempt, owner } = next;
      this.#waiting = this.#waiting.filter((one) => one !== attempt);
      attempt.place(owner, this.#startKindFor(owner, attempt));
    }
  }

  /** The first caller for whom there is a slot, where it may run. */
  #next(): { readonly attempt: Attempt; readonly owner: SandboxOwner } | undefined {
    const slots = this.#context.settings().slotsPerSandbox;
    const free = this.pick();
    for (const attempt of this.#waiting) {
      const { boundTo } = attempt;
      const owner = boundTo?.hasSlotForSession(slots) === true ? boundTo : free;
      if (owner !== undefined && (boundTo === undefined || boundTo === owner)) return { attempt, owner };
    }
    return undefined;
  }

  #startKindFor(owner: SandboxOwner, attempt: Attempt): Placement["start"] {
    if (owner.createdAtMs >= attempt.startedAtMs) return "cold";
    // Before the next line: one that was taken over from an earlier life has had no calls either.
    if (owner.thawedAtMs >= attempt.startedAtMs) return "thawed";
    return owner.calls === 0 ? "cold" : "warm";
  }

  #frozen(): SandboxOwner | undefined {
    return this.#owners.find((owner) => owner.state.type === "frozen" && !this.#thaws.has(owner));
  }

  /** @returns whether a start was begun. */
  #start(): boolean {
    const outlook = this.#startOutlook();
    if (outlook.type === "refused") this.#refuseUnbound(outlook.error);
    if (outlook.type !== "start") return false;
    this.#starts.add(startSandbox(this.#context, this));
    return true;
  }

  /** Whether the task may have one more sandbox now. */
  #startOutlook(): Exclude<LineOutlook, { readonly owner: SandboxOwner }> {
    const serving = this.#owners.filter((owner) => owner.isForAll).length;
    const admitting = [...this.#starts].filter((start) => start.phase !== "starting").length;
    // Its callers attest one server and then send it what only that one can read.
    const most = this.task.sgx ? 1 : this.#context.settings().sandboxesPerTask;
    if (serving + admitting >= most) return { type: "wait" };
    const error = this.#history.refusal(this.#context.clock.nowMs());
    if (error === undefined) return { type: "start" };
    return serving + admitting > 0 ? { type: "wait" } : { type: "refused", error };
  }

  #thaw(owner: SandboxOwner): void {
    const controller = new AbortController();
    this.#thaws.set(owner, controller);
    this.#context.track(thawSandbox(this.#context, this, owner, controller.signal));
  }

  /** Slots that will serve callers without anything further being asked for. */
  #slotsComing(): number {
    let coming = 0;
    for (const start of this.#starts) if (!start.isUnwanted) coming += 1;
    for (const controller of this.#thaws.values()) if (!controller.signal.aborted) coming += 1;
    let starting = 0;
    for (const owner of this.#owners) {
      const { type } = owner.state;
      if (type === "starting") starting += 1;
      // One that is held or freezes comes back as soon as the demand that it makes room for is served.
      else if (type === "thawing" || type === "freezing" || (type === "hot" && owner.isHeld)) coming += 1;
    }
    // Those that start without a start of ours are being taken over from an earlier life.
    const adopting = starting - [...this.#starts].filter((start) => start.phase === "starting").length;
    return (coming + Math.max(0, adopting)) * this.#context.settings().slotsPerSandbox;
  }

  /** Callers whom a further sandbox would serve. */
  #waitingForAny(): number {
    let count = 0;
    for (const attempt of this.#waiting) if (attempt.boundTo === undefined) count += 1;
    return count;
  }

  #isThawing(): boolean {
    return this.#owners.some((owner) => owner.state.type === "thawing");
  }

  #isRoomInMaking(): boolean {
    const { desk, host } = this.#context;
    if ([...this.#starts].some((start) => start.isMakingRoom))
      return hostHasMemory(host, this.task.resources);
    return [...this.#thaws.keys()].some((owner) => desk.isMakingRoomFor(asId<"demand">(owner.id)));
  }

  #cancelWishes(): void {
    for (const start of [...this.#starts]) start.giveUpRoom(nobodyWaits());
    for (const controller of [...this.#thaws.values()]) controller.abort(nobodyWaits());
  }

  /**
   * Gives up wishes for room that those who still wait do not need: others got their slots meanwhile, and what a wish is granted
   * may cost somebody's warm sandbox, even one of this very task.
   */
  #cancelSurplus(): void {
    const slots = this.#context.settings().slotsPerSandbox;
    const isSurplus = (): boolean => this.#slotsComing() - slots >= this.#waitingForAny();
    for (const start of [...this.#starts].reverse()) {
      if (start.phase === "admitting" && isSurplus()) start.giveUpRoom(nobodyWaits());
    }
    for (const [owner, controller] of [...this.#thaws].reverse()) {
      if (owner.state.type === "frozen" && isSurplus()) controller.abort(nobodyWaits());
    }
  }
}

/** Why a caller waits whose room has been granted and is not free yet, as a sentence. */
export const ROOM_IN_MAKING = "its room is being made: idle sandboxes are on their way out";
/** Why a frozen sandbox cannot wake, as a sentence. */
export const CPU_IS_HELD = "other tasks hold the CPU that it needs";

/** Why a task's start waits for room, as a sentence. */
export function roomReason({ host, books, gpuOffer }: EngineContext, task: TaskSpec): string {
  if (!hostHasMemory(host, task.resources)) return "the host itself has too little free memory now";
  return gpuWaitReason(task, books.rack, gpuOffer()) ?? "other tasks hold the CPU or memory that it needs";
}

/** Of the newest call in how long one usually takes. */
const NEWEST_WEIGHT = 0.2;

function nobodyWaits(): ExecutorError {
  return new ExecutorError("CALL_CANCELLED", { reason: "nobody waits for it any more" });
}

function serverGone(): ExecutorError {
  return new ExecutorError("SESSION_ENDED", { reason: "its server is gone" });
}

import type {
  CallChannel,
  DoorName,
  LifeEvent,
  LifeState,
  Sandbox,
  SandboxEnd,
  SandboxId,
  StartStory,
  StopCause,
  TaskKey,
  TaskResources,
  TaskSpec,
} from "../../core/index.ts";
import { advance, ExecutorError, isIdle, isServing, slotsUsed } from "../../core/index.ts";
import { withDeadline } from "../../std/deadline.ts";
import { UseMeter } from "../calls/use-meter.ts";
import type { EngineContext } from "../context.ts";
import { EndNews } from "./end-news.ts";
import { endUnless } from "./end-unless.ts";
import { untilRemoved } from "./until-removed.ts";

const VERB_DEADLINE_MS = 10_000;
/** Ends that make somebody ask what the code had to say. */
const ASKED_AFTER: ReadonlySet<StopCause> = new Set<StopCause>(["died", "failed", "overdue"]);

export interface OwnerOptions {
  readonly sandboxId: SandboxId;
  readonly taskKey: TaskKey;
  readonly task: TaskSpec;
  readonly door: DoorName;
  readonly imageDigest: string;
  /** Left out for one that is taken over from an earlier life. */
  readonly start?: StartStory;
}

/** A claim to this very sandbox: while one is held it is not idle, and only its own end takes it away. */
export interface Pin {
  /** Whether it is for every caller of the task, and not for one session alone. */
  readonly isForAll: boolean;
  /** A call of anybody has ended here. */
  touch(): void;
}

/**
 * The one owner of a sandbox's life: nobody else advances its state, freezes, wakes or removes it. It gives the sandbox's
 * reservation back exactly once, when nothing of the sandbox is left.
 */
export class SandboxOwner {
  readonly id: SandboxId;
  readonly taskKey: TaskKey;
  readonly task: TaskSpec;
  readonly door: DoorName;
  readonly imageDigest: string;
  readonly start: StartStory | undefined;
  readonly createdAtMs: number;
  /** Calls placed here so far. */
  calls = 0;
  /** Set while a demand that waited its time needs this sandbox to fall idle: it takes no new calls meanwhile. */
  isHeld = false;
  /** When its last call ended or, before the first one, when it became ready. */
  lastUsedMs: number;
  startCostMs = 0;
  /** The cards that it holds, by UUID; known once it is ready. */
  gpuIds: readonly string[] = [];
  /** What its calls use of it; from when it is ready, if anybody wants to know. */
  use: UseMeter | undefined;
  /** When it was last woken; before every call if it never was. */
  thawedAtMs = Number.NEGATIVE_INFINITY;
  readonly #context: EngineContext;
  #state: LifeState = { type: "starting" };
  #sandbox: Sandbox | undefined;
  #channel: CallChannel | undefined;
  readonly #endNews: EndNews;
  #starting = new AbortController();
  readonly #pins = new Set<Pin>();
  /** The pin that is for all, if there is one. */
  #hold: Pin | undefined;
  /** Another content took its place while it was pinned. */
  #isOutdated = false;
  /** It was asked to end, and has its time for that. */
  #hasGrace = false;

  constructor(context: EngineContext, options: OwnerOptions) {
    this.#context = context;
    this.#endNews = new EndNews(context.clock);
    this.id = options.sandboxId;
    this.taskKey = options.taskKey;
    this.task = options.task;
    this.door = options.door;
    this.imageDigest = options.imageDigest;
    this.start = options.start;
    this.createdAtMs = context.clock.nowMs();
    this.lastUsedMs = this.createdAtMs;
    this.#tell(undefined, undefined);
  }

  get state(): LifeState {
    return this.#state;
  }

  /** Aborts when the start is no longer wanted. */
  get startSignal(): AbortSignal {
    return this.#starting.signal;
  }

  /** @throws TypeError before the sandbox is ready. */
  get sandbox(): Sandbox {
    if (this.#sandbox === undefined) throw new TypeError("the sandbox has not started");
    return this.#sandbox;
  }

  get maybeSandbox(): Sandbox | undefined {
    return this.#sandbox;
  }

  get channel(): CallChannel {
    if (this.#channel === undefined) throw new TypeError("the sandbox has not started");
    return this.#channel;
  }

  get hasGrace(): boolean {
    return this.#hasGrace && this.#state.type === "stopping";
  }

  get isIdle(): boolean {
    return this.#pins.size === 0 && isIdle(this.#state);
  }

  /** Sessions and holds that keep it. */
  get pins(): number {
    return this.#pins.size;
  }

  /** Whether its task's callers may come here at all; one that is outdated serves its sessions to their end and nobody else. */
  get isForAll(): boolean {
    return this.isServing && !this.#isLeaving;
  }

  get #isLeaving(): boolean {
    return this.#isOutdated && this.#hold === undefined;
  }

  get isServing(): boolean {
    return isServing(this.#state);
  }

  get slotsUsed(): number {
    return slotsUsed(this.#state);
  }

  /** Whether a call can be placed here now. */
  hasSlot(slots: number): boolean {
    return this.#state.type === "hot" && this.#state.slotsUsed < slots && !this.isHeld && !this.#isLeaving;
  }

  /** The same for a call of a session that pins it. */
  hasSlotForSession(slots: number): boolean {
    return this.#state.type === "hot" && this.#state.slotsUsed < slots;
  }

  /** Keeps it for a session, from the call on that runs in it now. */
  pin(pin: Pin): void {
    this.#pins.add(pin);
    if (pin.isForAll) this.#hold = pin;
    this.isHeld = false;
  }

  unpin(pin: Pin): void {
    this.#pins.delete(pin);
    if (this.#hold === pin) this.#hold = undefined;
    if (!this.isServing) return;
    if (this.#isOutdated && this.#pins.size === 0) this.retire("outdated");
    else this.#context.ownerChanged(this);
  }

  /** The driver's sandbox is up. If it is no longer wanted it is removed again. */
  ready(sandbox: Sandbox, tier: "hot" | "frozen"): void {
    this.#sandbox = sandbox;
    this.#channel = this.#context.openChannel(sandbox.endpoint);
    this.startCostMs = sandbox.phases.createMs + sandbox.phases.startMs + sandbox.phases.readyMs;
    this.lastUsedMs = this.#context.clock.nowMs();
    sandbox.ended.then((end) => this.#endNews.tell(end)).catch(() => undefined); // it never rejects
    this.#context.track(this.#watch(sandbox));
    if (this.#state.type === "stopping") {
      this.#context.track(this.#remove(sandbox, 0));
      return;
    }
    this.gpuIds = this.#context.books.heldBy(this.id)?.gpuIds ?? [];
    const { meters } = this.#context;
    if (meters !== undefined) this.use = new UseMeter(meters, (signal) => sandbox.usage(signal));
    this.#advance({ type: "ready", nowMs: this.lastUsedMs });
    if (tier === "frozen") {
      this.#advance({ type: "freeze" });
      this.#advance({ type: "frozen" });
    }
    this.#context.ownerChanged(this);
  }

  /** The driver could not start it, and left nothing. */
  failed(): void {
    this.#advance({ type: "stop", cause: "failed" });
    this.#settle();
  }

  take(): void {
    this.#advance({ type: "take" });
    this.calls += 1;
  }

  give(): void {
    this.lastUsedMs = this.#context.clock.nowMs();
    this.#advance({ type: "give", nowMs: this.lastUsedMs });
    this.#hold?.touch();
    if (this.#state.type === "retiring" && this.#state.slotsUsed === 0) this.stop(this.#state.cause, "kill");
    else this.#context.ownerChanged(this);
  }

  /** Gives its CPU back and keeps it warm. One that will not freeze is removed instead. `forSandbox` is whom the room is for. */
  freeze(forSandbox?: SandboxId): void {
    this.#advance({ type: "freeze" }, forSandbox);
    if (this.#state.type === "freezing") this.#context.track(this.#freeze());
  }

  /** Wakes it. The caller has booked its CPU; it must not be asked twice. */
  thaw(): void {
    this.isHeld = false;
    this.#advance({ type: "thaw" });
    if (this.#state.type === "thawing") this.#context.track(this.#thaw());
  }

  /**
   * Takes no more calls and ends once those that run have ended, however often it is told so. What is only outdated stays for its
   * sessions as long as they last.
   */
  retire(cause: StopCause): void {
    if (this.#state.type === "retiring") return;
    if (cause === "outdated" && this.#pins.size > 0) {
      this.#isOutdated = true;
      this.#context.ownerChanged(this);
      return;
    }
    if (this.#state.type === "hot" && this.#state.slotsUsed > 0) {
      this.#advance({ type: "retire", cause });
      this.#context.ownerChanged(this);
      return;
    }
    this.stop(cause, "kill");
  }

  /** Ends it now, with what runs on it. `ask` gives its code the grace to end by itself first. `forSandbox` is whom the room is for. */
  stop(cause: StopCause, how: "ask" | "kill", forSandbox?: SandboxId): void {
    if (this.#state.type === "stopping" || this.#state.type === "gone") return;
    this.#advance({ type: "stop", cause }, forSandbox);
    this.#starting.abort(new ExecutorError("CALL_CANCELLED", { reason: "the start is no longer wanted" }));
    if (this.#sandbox !== undefined) {
      const graceMs = how === "ask" ? this.#context.settings().stopGraceMs : 0;
      this.#hasGrace = graceMs > 0;
      this.#context.track(this.#remove(this.#sandbox, graceMs));
    }
    this.#context.ownerChanged(this);
  }

  /** One that is being ended gets no grace any more. */
  hasten(): void {
    if (!this.hasGrace || this.#sandbox === undefined) return;
    this.#hasGrace = false;
    // Whoever ends it asks until it is gone; this only makes that come sooner.
    this.#context.track(this.#sandbox.stop(0).catch(() => undefined));
  }

  /** Why its code ended, waited for a moment: a broken connection is often known before its reason. */
  endWithin(waitMs: number): Promise<SandboxEnd | undefined> {
    if (this.#sandbox === undefined) return Promise.resolve(undefined);
    return this.#endNews.within(waitMs);
  }

  /** Whether its server takes further connections. Never rejects. */
  takesConnections(): Promise<boolean> {
    return this.#channel?.takesConnections() ?? Promise.resolve(false);
  }

  #advance(event: LifeEvent, forSandbox?: SandboxId): void {
    const from = this.#state.type;
    this.#state = advance(this.#state, event);
    if (this.#state.type !== from) this.#tell(from, forSandbox);
  }

  #tell(from: LifeState["type"] | undefined, forSandbox: SandboxId | undefined): void {
    const state = this.#state;
    this.#context.observer.sandboxChanged({
      sandboxId: this.id,
      door: this.door,
      task: this.task,
      taskKey: this.taskKey,
      isolation: this.#sandbox?.isolation,
      from,
      to: state.type,
      cause: "cause" in state ? state.cause : undefined,
      forSandbox,
    });
  }

  async #watch(sandbox: Sandbox): Promise<void> {
    const end = await endUnless(sandbox.ended, this.#context.ending);
    // The executor lets go of a sandbox that it leaves to its next life.
    if (end === undefined) return;
    this.#channel?.serverEnded();
    if (this.#state.type === "stopping" || this.#state.type === "gone") return;
    this.#context.log.log("warn", "sandbox.died", { sandboxId: this.id, image: this.task.image, end });
    this.stop("died", "kill");
  }

  async #freeze(): Promise<void> {
    try {
      await this.#withDeadline((signal) => this.sandbox.freeze(signal));
    } catch (error) {
      this.#context.log.log("warn", "sandbox.failed", { sandboxId: this.id, step: "freeze", error });
      this.stop("failed", "kill");
      return;
    }
    if (this.#state.type !== "freezing") return;
    this.#context.books.resize(this.id, heldWhenFrozen(this.task.resources));
    this.#advance({ type: "frozen" });
    this.#context.log.log("debug", "sandbox.frozen", { sandboxId: this.id });
    this.#context.ownerChanged(this);
  }

  async #thaw(): Promise<void> {
    try {
      await this.#withDeadline((signal) => this.sandbox.thaw(signal));
    } catch (error) {
      this.#context.log.log("warn", "sandbox.failed", { sandboxId: this.id, step: "thaw", error });
      this.stop("failed", "kill");
      return;
    }
    this.thawedAtMs = this.#context.clock.nowMs();
    this.#advance({ type: "thawed", nowMs: this.thawedAtMs });
    this.#context.log.log("debug", "sandbox.thawed", { sandboxId: this.id });
    this.#context.ownerChanged(this);
  }

  async #remove(sandbox: Sandbox, graceMs: number): Promise<void> {
    this.#channel?.close();
    const { type } = this.#state;
    if (type === "stopping" && ASKED_AFTER.has(this.#state.cause)) {
      await this.#context.lastWords.keep(sandbox, { sandboxId: this.id, image: this.task.image });
    }
    const { clock } = this.#context;
    const overAtMs = clock.nowMs() + graceMs;
    const isGone = await untilRemoved(this.#context, { sandboxId: this.id, label: sandbox.label }, () =>
      sandbox.stop(this.#hasGrace ? Math.max(0, overAtMs - clock.nowMs()) : 0),
    );
    if (isGone) this.#settle();
  }

  #settle(): void {
    this.use?.end();
    this.#context.books.release(this.id);
    this.#advance({ type: "removed" });
    const cause = this.#state.type === "gone" ? this.#state.cause : "failed";
    this.#context.log.log("info", "sandbox.stopped", { sandboxId: this.id, image: this.task.image, cause });
    this.#context.ownerChanged(this);
  }

  #withDeadline(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    return withDeadline(
      { ms: VERB_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", clock: this.#context.clock },
      work,
    );
  }
}

/** What a sandbox holds in a tier: a frozen one keeps its memory and its cards, on which its data stay. */
export function heldWhenFrozen(resources: TaskResources): TaskResources {
  return { ...resources, cpuMillis: 0 };
}

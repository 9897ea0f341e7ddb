import type {
  Amounts,
  Demand,
  DoorName,
  HostMonitor,
  IsolationClass,
  ResolvedImage,
  SandboxId,
  StartPhases,
  StartStory,
  TaskKey,
  TaskSpec,
} from "../../core/index.ts";
import { asId, ExecutorError } from "../../core/index.ts";
import { withDeadline } from "../../std/deadline.ts";
import type { TaskLine } from "../calls/task-line.ts";
import type { EngineContext } from "../context.ts";
import type { CallProgress } from "../executor.ts";
import { isMappedAnew } from "./class-mapping.ts";
import { SandboxOwner } from "./sandbox-owner.ts";

/** Beyond the driver's own deadline, in case the driver hangs. */
const START_MARGIN_MS = 5_000;

/** A start under way: which step it is at, and how to stop it. */
export interface StartInProgress {
  readonly phase: "resolving" | "admitting" | "starting";
  /** Its room is granted, and those who have to go for it are on their way. */
  readonly isMakingRoom: boolean;
  /** It was given up, so that its failure is nobody's fault. */
  readonly isUnwanted: boolean;
  /** Stops it if it has booked nothing yet; a sandbox that starts already is let through and kept warm. */
  giveUpRoom(reason: ExecutorError): void;
  /** Stops it at any step. */
  abort(reason: ExecutorError): void;
}

/**
 * Starts one more sandbox for a task: image, then room, then sandbox. The room is booked before anything is created and given
 * back, by the sandbox's owner, after everything is gone.
 */
export function startSandbox(context: EngineContext, line: TaskLine): StartInProgress {
  const start = new Start(context, line);
  context.track(start.run());
  return start;
}

class Start implements StartInProgress, StartStory {
  phase: StartInProgress["phase"] = "resolving";
  isUnwanted = false;
  readonly beganAtMs: number;
  resolvedAtMs: number | undefined;
  wasPulled = false;
  imageDigest: string | undefined;
  admittedAtMs: number | undefined;
  sandboxId: SandboxId | undefined;
  endedAtMs: number | undefined;
  phases: StartPhases | undefined;
  isolation: IsolationClass | undefined;
  error: Error | undefined;
  readonly #context: EngineContext;
  readonly #line: TaskLine;
  readonly #controller = new AbortController();
  #demandId: Demand["id"] | undefined;

  constructor(context: EngineContext, line: TaskLine) {
    this.#context = context;
    this.#line = line;
    this.beganAtMs = context.clock.nowMs();
  }

  get door(): DoorName {
    return this.#line.door;
  }

  get task(): TaskSpec {
    return this.#line.task;
  }

  get taskKey(): TaskKey {
    return this.#line.key;
  }

  get isMakingRoom(): boolean {
    const id = this.#demandId;
    return this.phase === "admitting" && id !== undefined && this.#context.desk.isMakingRoomFor(id);
  }

  giveUpRoom(reason: ExecutorError): void {
    if (this.phase === "admitting") this.abort(reason);
  }

  abort(reason: ExecutorError): void {
    this.isUnwanted = true;
    this.#controller.abort(reason);
  }

  async run(): Promise<void> {
    // The caller has to know of this start before it can hear of its end.
    await Promise.resolve();
    try {
      const image = await this.#resolve();
      this.phase = "admitting";
      const owner = await this.#admit(image);
      this.phase = "starting";
      this.#tell({ type: "starting" });
      await this.#start(owner, image);
    } catch (thrown) {
      const error = ExecutorError.from(thrown);
      this.#ended(error);
      this.#line.startEnded(this, error);
      return;
    }
    this.#line.startEnded(this, undefined);
    this.#line.supply();
  }

  async #resolve(): Promise<ResolvedImage> {
    const { driver, clock } = this.#context;
    const { image } = this.#line.task;
    const { pullTimeoutMs, refreshImages } = this.#context.settings();
    const deadline = {
      ms: pullTimeoutMs,
      code: "IMAGE_PULL_FAILED",
      facts: { image, reason: "it took too long", afterMs: pullTimeoutMs },
      parent: this.#controller.signal,
      clock,
    } as const;
    const resolved = await withDeadline(deadline, (signal) =>
      driver.resolve(
        image,
        {
          refresh: refreshImages ? "moved" : "missing",
          onProgress: (progress) => this.#tell({ type: "pulling", progress }),
        },
        signal,
      ),
    );
    this.resolvedAtMs = clock.nowMs();
    this.wasPulled = resolved.wasPulled;
    this.imageDigest = resolved.digest;
    for (const owner of [...this.#line.owners]) {
      if (owner.imageDigest !== resolved.digest && owner.isServing) owner.retire("outdated");
    }
    return resolved;
  }

  async #admit(image: ResolvedImage): Promise<SandboxOwner> {
    const { desk, books, clock, host } = this.#context;
    const { task, door, key } = this.#line;
    const sandboxId = this.#context.newSandboxId();
    this.#demandId = asId<"demand">(sandboxId);
    const demand = {
      id: this.#demandId,
      door,
      need: task.resources,
      keep: undefined,
      enqueuedAtMs: clock.nowMs(),
    };
    // The books say what tasks may have; the host may have lent it to somebody else meanwhile. Asked of it is only what is
    // new: what our own tasks use is no longer available there and must not count twice.
    const book = (gpuIds: readonly string[]): boolean =>
      hostHasMemory(host, task.resources) &&
      books.reserve(sandboxId, door, task.resources, gpuIds) !== undefined;
    const booked = desk.apply({ demand, book }, this.#controller.signal);
    if (desk.hasDemands) this.#tell({ type: "waiting", reason: this.#line.waitReason() });
    await booked;
    this.admittedAtMs = clock.nowMs();
    this.sandboxId = sandboxId;
    const owner = new SandboxOwner(this.#context, {
      sandboxId,
      taskKey: key,
      task,
      door,
      imageDigest: image.digest,
      start: this,
    });
    this.#line.adopt(owner);
    return owner;
  }

  async #start(owner: SandboxOwner, image: ResolvedImage): Promise<void> {
    const { driver, clock, log } = this.#context;
    const began = this.#context.settings();
    const { startTimeoutMs } = began;
    const onUnwanted = (): void => this.abort(owner.startSignal.reason as ExecutorError);
    owner.startSignal.addEventListener("abort", onUnwanted, { once: true });
    try {
      const sandbox = await withDeadline(
        {
          ms: startTimeoutMs + START_MARGIN_MS,
          code: "START_TIMEOUT",
          facts: { afterMs: startTimeoutMs },
          parent: this.#controller.signal,
          clock,
        },
        (signal) =>
          driver.start(
            {
              sandboxId: owner.id,
              taskKey: owner.taskKey,
              task: owner.task,
              image,
              gpuIds: this.#context.books.heldBy(owner.id)?.gpuIds ?? [],
              startTimeoutMs,
            },
            signal,
          ),
      );
      log.log("info", "sandbox.started", {
        sandboxId: owner.id,
        image: owner.task.image,
        label: sandbox.label,
        isolation: sandbox.isolation,
        ...sandbox.phases,
      });
      for (const warning of sandbox.warnings) {
        log.log("warn", "sandbox.warned", { sandboxId: owner.id, image: owner.task.image, warning });
      }
      this.phases = sandbox.phases;
      this.isolation = sandbox.isolation;
      this.#ended(undefined);
      owner.ready(sandbox, "hot");
      // While it started, its class was given to another runtime.
      if (isMappedAnew(began, this.#context.settings(), sandbox.isolation)) owner.retire("outdated");
    } catch (error) {
      log.log("warn", "sandbox.failed", {
        sandboxId: owner.id,
        image: owner.task.image,
        step: "start",
        error,
      });
      owner.failed();
      throw error;
    } finally {
      owner.startSignal.removeEventListener("abort", onUnwanted);
    }
  }

  #ended(error: ExecutorError | undefined): void {
    if (this.endedAtMs !== undefined) return;
    this.endedAtMs = this.#context.clock.nowMs();
    this.error = error;
    this.#context.observer.startEnded(this);
  }

  #tell(progress: CallProgress): void {
    for (const attempt of this.#line.waiting) attempt.sink?.onProgress?.(progress);
  }
}

/**
 * Whether the host itself has that much free memory now. Its idle CPU is not asked for: CPU is shared out by the kernel, and a
 * short burst must not turn requests away.
 */
export function hostHasMemory(host: HostMonitor, { memoryBytes }: Amounts): boolean {
  return host.memoryAvailableBytes() >= memoryBytes;
}

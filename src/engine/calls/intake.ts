import type {
  Amounts,
  CallRequest,
  DoorName,
  Exchange,
  IsolationClass,
  TaskKey,
  TaskSpec,
} from "../../core/index.ts";
import { ExecutorError, jobLimit } from "../../core/index.ts";
import type { EngineContext } from "../context.ts";
import type { CallOptions, CallSink } from "../executor.ts";
import { checkGpus } from "../gpus/check-gpus.ts";
import type { Opening } from "../opening.ts";
import { ClassRetries } from "../sandboxes/class-retries.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { AttemptHost } from "./attempt.ts";
import { Attempt } from "./attempt.ts";
import { checkTask } from "./check-task.ts";
import { TaskLine } from "./task-line.ts";
import type { TaskLines } from "./task-lines.ts";

export interface IntakeOptions {
  readonly attempts: AttemptHost;
  readonly context: EngineContext;
  readonly lines: TaskLines;
  readonly sessions: Sessions;
  readonly opening: Opening;
  isImageAllowed(image: string): boolean;
}

/** Takes calls that find no free slot: refuses what can never run or may not wait, and puts the others into their line. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #retries: ClassRetries;

  constructor(options: IntakeOptions) {
    this.#options = options;
    const { driver, clock, ending } = options.context;
    this.#retries = new ClassRetries({
      driver,
      clock,
      ending,
      track: (work) => options.context.track(work),
    });
  }

  callLater(
    key: TaskKey,
    task: TaskSpec,
    request: CallRequest,
    options: CallOptions,
    sink: CallSink,
  ): Exchange {
    const refusal = this.#options.opening.refusal() ?? this.check(task);
    if (refusal?.code === "ISOLATION_UNAVAILABLE") this.#retries.refused(this.#classOf(task));
    // A refused task is not remembered: nobody may fill the daemon with tasks that it never runs.
    const line =
      refusal === undefined
        ? this.#options.lines.getOrMake(key, task, options.door)
        : new TaskLine(this.#options.context, key, task, options.door);
    const attempt = new Attempt(this.#options.attempts, line, request, options, sink);
    // What can fail at once must not fail before the caller has its handle.
    this.#options.context.track(Promise.resolve().then(() => this.#enter(line, attempt, refusal)));
    return attempt;
  }

  /** The class that a task asks for; the driver's first if it names none. */
  #classOf({ isolation }: TaskSpec): IsolationClass {
    return isolation === "default"
      ? (this.#options.context.driver.classes()[0]?.isolation ?? "container")
      : isolation;
  }

  #enter(line: TaskLine, attempt: Attempt, refusal: ExecutorError | undefined): void {
    if (attempt.isSettled) return;
    const late = refusal ?? this.#options.opening.refusal() ?? this.#queueRefusal();
    if (late !== undefined) attempt.fail(late);
    else if (this.#tie(attempt, line)) line.enqueue(attempt, "back");
  }

  /** Ties a call to the session that it names, if it names one. @returns whether that could be; if not it has failed. */
  #tie(attempt: Attempt, line: TaskLine): boolean {
    const { session } = attempt.options;
    if (session === undefined) return true;
    try {
      attempt.tie = this.#options.sessions.tie(session, line.key);
      return true;
    } catch (error) {
      attempt.fail(ExecutorError.from(error));
      return false;
    }
  }

  /** What this host can or may never do. */
  check(task: TaskSpec): ExecutorError | undefined {
    return this.#check(task, this.#options.context.books.capacity);
  }

  /** The same of a job. */
  checkJob(task: TaskSpec, door: DoorName): ExecutorError | undefined {
    const { books, settings } = this.#options.context;
    const refusal = this.#check(task, jobLimit(books.capacity, settings().shares, door), door);
    if (refusal?.code === "ISOLATION_UNAVAILABLE") this.#retries.refused(this.#classOf(task));
    return refusal;
  }

  #check(task: TaskSpec, capacity: Amounts, door?: DoorName): ExecutorError | undefined {
    // What runs behind the worker's door is the operator's own choice; the list is for what callers choose.
    if (door !== "indexify" && !this.#options.isImageAllowed(task.image)) {
      return new ExecutorError("IMAGE_FORBIDDEN", { image: task.image });
    }
    const { driver, books } = this.#options.context;
    return (
      checkTask(task, capacity, driver.classes(), driver.networks()) ??
      checkGpus(task, books.rack, this.#options.context.gpuOffer())
    );
  }

  /** Why a call of this task that finds no free slot is refused at once. */
  refusal(task: TaskSpec): ExecutorError | undefined {
    return this.check(task) ?? this.#queueRefusal();
  }

  #queueRefusal(): ExecutorError | undefined {
    const limit = this.#options.context.settings().queueLimit;
    const isFull = this.#options.lines.waitingCount() >= limit;
    return isFull ? new ExecutorError("QUEUE_FULL", { limit }) : undefined;
  }
}

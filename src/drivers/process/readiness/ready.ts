import type { TaskExit } from "../task/launch.ts";
import { accepts } from "./ports.ts";
import type { ReadyMark } from "./ready-mark.ts";

/** A task that accepts for this long without the mark is ready all the same. */
export const UNMARKED_READY_MS = 2000;
/** And at no fewer looks: in a time in which this machine stood still the task could print nothing. */
const UNMARKED_LOOKS = 20;
/** Between two looks at the port: short at first, because most tasks are quick, and again once the mark has come. */
const FIRST_PAUSE_MS = 3;
const LONGEST_PAUSE_MS = 50;

/** Somebody else listens on the port that the task was given. */
export class PortTaken extends Error {
  override readonly name = "PortTaken";
}

/** The task accepts on loopback, where nobody but itself can call it. */
export class OnLoopbackOnly extends Error {
  override readonly name = "OnLoopbackOnly";
}

/** The task's process ended before it was ready. */
export class ExitedEarly extends Error {
  override readonly name = "ExitedEarly";
  readonly exit: TaskExit;

  constructor(exit: TaskExit) {
    super("the task ended before it was ready");
    this.exit = exit;
  }
}

export interface ReadyOptions {
  readonly host: string;
  readonly port: number;
  /** `port`: the task never prints the mark and says so. */
  readonly rule: "mark" | "port";
  readonly mark: ReadyMark;
  readonly exited: Promise<TaskExit>;
  /** Whether the one who listens on the port is the task. */
  isOurs(): boolean;
  /** Whether the task listens where only itself can call it. */
  isOnLoopbackOnly(): boolean;
}

/**
 * Resolves once the task accepts *and* has printed the mark, or has accepted for {@link UNMARKED_READY_MS} without it.
 *
 * @throws {@link PortTaken}, {@link ExitedEarly}, {@link OnLoopbackOnly}, or the signal's reason.
 */
export async function untilReady(options: ReadyOptions, signal: AbortSignal): Promise<"marked" | "unmarked"> {
  const pause = new Pause();
  const watch = new ReadyWatch(options, pause);
  const onAbort = (): void => pause.cut();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const answer = await watch.look();
      if (answer !== "not yet") return answer;
      await pause.wait(watch.nextPauseMs());
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** What is known of one task's readiness so far. */
class ReadyWatch {
  readonly #options: ReadyOptions;
  #exit: TaskExit | undefined;
  readonly #accepted = new Streak();
  readonly #unreachable = new Streak();
  #pauseMs = FIRST_PAUSE_MS;
  #hadMark = false;

  constructor(options: ReadyOptions, pause: Pause) {
    this.#options = options;
    options.mark.onSeen(() => pause.cut());
    options.exited.then(
      (how) => {
        this.#exit = how;
        pause.cut();
      },
      () => {
        // It never rejects.
      },
    );
  }

  async look(): Promise<"marked" | "unmarked" | "not yet"> {
    const { host, port, rule, mark, isOurs } = this.#options;
    const isOpen = await accepts(host, port);
    if (this.#exit !== undefined) throw new ExitedEarly(this.#exit);
    if (!isOpen) {
      this.#accepted.look(false);
      this.#lookForLoopback();
      return "not yet";
    }
    if (!isOurs()) throw new PortTaken();
    if (mark.isSeen || rule === "port") return "marked";
    return this.#accepted.look(true) ? "unmarked" : "not yet";
  }

  /** A program may open one address after the other, so it is given as much time as for the mark. */
  #lookForLoopback(): void {
    if (this.#unreachable.look(this.#options.isOnLoopbackOnly())) throw new OnLoopbackOnly();
  }

  nextPauseMs(): number {
    const { isSeen } = this.#options.mark;
    this.#pauseMs =
      isSeen && !this.#hadMark ? FIRST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 1.3);
    this.#hadMark = isSeen;
    return this.#pauseMs;
  }
}

/** Something that was so at every look. */
class Streak {
  #sinceMs: number | undefined;
  #looks = 0;

  /** @returns whether it has been so for {@link UNMARKED_READY_MS}. */
  look(isSo: boolean): boolean {
    if (!isSo) {
      this.#sinceMs = undefined;
      this.#looks = 0;
      return false;
    }
    const nowMs = performance.now();
    this.#sinceMs ??= nowMs;
    this.#looks += 1;
    return this.#looks >= UNMARKED_LOOKS && nowMs - this.#sinceMs >= UNMARKED_READY_MS;
  }
}

/** A wait that events may cut short. One that comes between two waits is not lost: the caller looks at the state first. */
class Pause {
  #end: () => void = () => undefined;

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  cut(): void {
    this.#end();
  }
}

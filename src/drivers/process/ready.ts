import type { TaskExit } from "./launch.ts";
import { accepts } from "./ports.ts";
import type { ReadyMark } from "./ready-mark.ts";

/** A task that accepts for this long without the mark is ready all the same. */
export const UNMARKED_READY_MS = 2000;
/** Between two looks at the port: short at first, because most tasks are quick, and again once the mark has come. */
const FIRST_PAUSE_MS = 3;
const LONGEST_PAUSE_MS = 50;

/** Somebody else listens on the port that the task was given. */
export class PortTaken extends Error {
  override readonly name = "PortTaken";
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
}

/**
 * Resolves once the task accepts *and* has printed the mark, or has accepted for {@link UNMARKED_READY_MS} without it.
 *
 * @throws {@link PortTaken}, {@link ExitedEarly}, or the signal's reason.
 */
export async function untilReady(options: ReadyOptions, signal: AbortSignal): Promise<"marked" | "unmarked"> {
  const { host, port, rule, mark } = options;
  const pause = new Pause();
  let exit: TaskExit | undefined;
  options.exited.then((how) => {
    exit = how;
    pause.cut();
  });
  mark.seen.then(() => pause.cut());
  const onAbort = (): void => pause.cut();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    let acceptedAtMs: number | undefined;
    let pauseMs = FIRST_PAUSE_MS;
    let hadMark = false;
    for (;;) {
      signal.throwIfAborted();
      const isOpen = await accepts(host, port);
      if (exit !== undefined) throw new ExitedEarly(exit);
      if (isOpen && !options.isOurs()) throw new PortTaken();
      if (isOpen && (mark.isSeen || rule === "port")) return "marked";
      const nowMs = performance.now();
      acceptedAtMs = isOpen ? (acceptedAtMs ?? nowMs) : undefined;
      if (acceptedAtMs !== undefined && nowMs - acceptedAtMs >= UNMARKED_READY_MS) return "unmarked";
      pauseMs = mark.isSeen && !hadMark ? FIRST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, pauseMs * 1.3);
      hadMark = mark.isSeen;
      await pause.wait(pauseMs);
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
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

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import type { Duplex } from "node:stream";
import { ExecutorError } from "../../core/index.ts";
import { STATUS_FD, sendPasswd } from "./bubblewrap.ts";
import { LogRing } from "./log-ring.ts";
import { OutputPace } from "./output-pace.ts";

export type TaskExit =
  | { readonly type: "exited"; readonly exitCode: number }
  | { readonly type: "signalled"; readonly signal: string };

/** A task's first process, its output, and its end. */
export interface LaunchedTask {
  /** The process that we wait for: bubblewrap, or the task's own. Its death is the death of the task. */
  readonly leader: number;
  /** The process group of the task's own program, once it runs. */
  readonly group: number | undefined;
  readonly ring: LogRing;
  /** Resolves once its program has said so at {@link BEGUN_FD}, which it does not unless it was made to; never rejects. */
  readonly begun: Promise<void>;
  /** Resolves with how it ended; never rejects. */
  readonly exited: Promise<TaskExit>;
  /** Resolves when all output has been read, which may be after the end; never rejects. */
  readonly drained: Promise<void>;
  /** Stops reading: whoever still holds the other end keeps nobody waiting. */
  closeOutput(): void;
  /** The daemon may exit without waiting for it. */
  unref(): void;
}

/** Where the last step before a job's own program says that all others are done. */
export const BEGUN_FD = 5;

export interface LaunchOptions {
  /** Program and arguments; an array, never a line for a shell. */
  readonly argv: readonly string[];
  readonly folder: string;
  readonly usesBubblewrap: boolean;
  /** The uid that the task's list of users names. */
  readonly uid: number;
  /** Whether it has a pipe at {@link BEGUN_FD}. */
  readonly tellsBegin?: boolean;
  /** Of the process itself. Default: hardly anything, since a task's own is set when its privileges are gone. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts the process and resolves once it exists. @throws {@link ExecutorError} SANDBOX_START_FAILED. */
export async function launch(options: LaunchOptions): Promise<LaunchedTask> {
  const { argv, folder, usesBubblewrap } = options;
  const [program = "", ...rest] = argv;
  const further: ("pipe" | "ignore")[] = usesBubblewrap ? ["pipe", "pipe"] : [];
  if (options.tellsBegin === true)
    further.push(...(usesBubblewrap ? [] : (["ignore", "ignore"] as const)), "pipe");
  const child = spawn(program, rest, {
    cwd: folder,
    detached: true,
    env: options.environment ?? { PATH: "/usr/bin:/bin" },
    stdio: ["ignore", "pipe", "pipe", ...further],
  });
  const exited = new Promise<TaskExit>((resolve) => {
    child.once("exit", (code, signal) => resolve(exitOf(code, signal, usesBubblewrap)));
  });
  const ring = readOutput(child);
  const begun = options.tellsBegin === true ? firstByte(child) : new Promise<void>(() => undefined);
  const drained = new Promise<void>((resolve) => {
    child.once("close", () => {
      ring.end();
      resolve();
    });
  });
  try {
    await once(child, "spawn");
  } catch (error) {
    throw new ExecutorError(
      "SANDBOX_START_FAILED",
      { reason: "the process could not be made" },
      { cause: error },
    );
  }
  const leader = child.pid as number;
  let group = usesBubblewrap ? undefined : leader;
  if (usesBubblewrap) {
    sendPasswd(child, options.uid);
    readStatus(child, (pid) => {
      group = pid;
    });
  }
  return {
    leader,
    get group() {
      return group;
    },
    ring,
    begun,
    exited,
    drained,
    closeOutput: () => {
      for (const stream of child.stdio) stream?.destroy();
    },
    unref: () => {
      child.unref();
      for (const stream of child.stdio) (stream as UnrefAble | null | undefined)?.unref();
    },
  };
}

interface UnrefAble {
  unref(): void;
}

/** All output is read as it comes, within a pace, so that the task need not wait for us; what is kept of it is bounded by the ring. */
function readOutput(child: ChildProcess): LogRing {
  const ring = new LogRing();
  const pace = new OutputPace([child.stdout, child.stderr].filter((stream) => stream !== null));
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (chunk: Buffer) => {
      ring.append(name, chunk);
      pace.count(chunk.length);
    });
    // A broken pipe is the end of the output, which `close` tells.
    child[name]?.on("error", () => undefined);
  }
  return ring;
}

function firstByte(child: ChildProcess): Promise<void> {
  // Its types know the first five only.
  const pipe = (child.stdio as readonly unknown[])[BEGUN_FD] as Duplex;
  pipe.on("error", () => undefined);
  return new Promise((resolve) => {
    // Also unread its end must be seen, or the child's `close` never comes.
    pipe.on("data", () => resolve());
  });
}

/** The first line names the process that leads the task's own group. @see bwrap(1), `--json-status-fd`. */
function readStatus(child: ChildProcess, onGroup: (pid: number) => void): void {
  const status = child.stdio[STATUS_FD] as Duplex;
  let text = "";
  status.on("error", () => undefined);
  status.on("data", (chunk: Buffer) => {
    if (text.length > 4096) return;
    text += chunk.toString("latin1");
    const [, pid] = /"child-pid": (\d+)/.exec(text) ?? [];
    if (pid !== undefined) onGroup(Number(pid));
  });
}

/** Bubblewrap tells a signal the way a shell does: 128 and its number. */
function exitOf(code: number | null, signal: NodeJS.Signals | null, usesBubblewrap: boolean): TaskExit {
  if (signal !== null) return { type: "signalled", signal };
  const told = usesBubblewrap && code !== null && code > 128 ? signalName(code - 128) : undefined;
  return told === undefined ? { type: "exited", exitCode: code ?? 0 } : { type: "signalled", signal: told };
}

function signalName(number: number): string | undefined {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
}

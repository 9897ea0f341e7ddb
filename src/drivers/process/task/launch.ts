import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { ExecutorError } from "../../../core/index.ts";
import { whyNotMade } from "../../../std/index.ts";
import type { LogStream } from "../output/log-ring.ts";
import { LogRing } from "../output/log-ring.ts";
import { OutputPace } from "../output/output-pace.ts";
import type { OutputStream } from "../output/output-stream.ts";
import { outputOf } from "../output/output-stream.ts";
import { factsOf } from "../process-table.ts";
import type { Spawner, SpawnRequest } from "../spawner/index.ts";
import type { ExitStatus } from "./exit-status.ts";
import { signalName } from "./exit-status.ts";

export type TaskExit =
  | { readonly type: "exited"; readonly exitCode: number }
  | { readonly type: "signalled"; readonly signal: string }
  /** It ended with the program that starts tasks, and how is not known. */
  | { readonly type: "lost" };

/** A task's first process, its output, and its end. */
export interface LaunchedTask {
  /** The process that we wait for: bubblewrap, or the task's own. Its death is the death of the task. */
  readonly leader: number;
  /** When that started; `undefined` when it had ended before anybody looked. */
  readonly startTicks: number | undefined;
  /** Whether that is the first of its process ids, with which the kernel ends all others before its end is told. */
  readonly isFirst: boolean;
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
  /** Kills the process that we wait for by means of its parent, who knows it also where no file can be opened to look. */
  killLeader(): void;
  /** The daemon may exit without waiting for it. */
  unref(): void;
}

/** Where the last step before a job's own program says {@link BEGUN} when all others are done. */
export const BEGUN_FD = 5;
export const BEGUN = "begun";
/** All that is told there before a program runs is shorter. */
const MOST_STATUS_CHARACTERS = 4096;

/**
 * Who the process is that we wait for: the task's own; the one that bubblewrap leaves outside; or, behind copied walls, the spawner's, which
 * is the first process inside.
 */
export type LeaderKind = "task" | "bubblewrap" | "first";

export interface LaunchOptions extends SpawnRequest {
  readonly leaderKind: LeaderKind;
}

/** Has the process started by the spawner and resolves once it exists. @throws {@link ExecutorError} SANDBOX_START_FAILED. */
export async function launch(spawner: Spawner, options: LaunchOptions): Promise<LaunchedTask> {
  const { streams, ...started } = await spawner.start(options);
  const { o: stdout, e: stderr, s } = streams;
  const status = s ?? started.begun ?? Promise.resolve();
  return follow({ ...started, stdout, stderr, status, leaderKind: options.leaderKind });
}

export interface DirectLaunch {
  /** Program and arguments; an array, never a line for a shell. */
  readonly argv: readonly string[];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Starts the process as a child of this very one. @throws {@link ExecutorError} SANDBOX_START_FAILED. */
export async function launchDirectly({ argv, folder, environment }: DirectLaunch): Promise<LaunchedTask> {
  const [program = "", ...rest] = argv;
  const child = spawn(program, rest, {
    cwd: folder,
    detached: true,
    env: environment,
    stdio: ["ignore", "pipe", "pipe", "ignore", "ignore", "pipe"],
  });
  if (child.pid === undefined) throw notMade(await whyNotMade(child));
  const exited = new Promise<ExitStatus>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  // Its types know the first five only.
  const status = outputOf((child.stdio as readonly unknown[])[BEGUN_FD] as Readable);
  const unref = (): void => {
    child.unref();
    for (const stream of child.stdio) (stream as UnrefAble | null | undefined)?.unref();
  };
  const [stdout, stderr] = [outputOf(child.stdout as Readable), outputOf(child.stderr as Readable)];
  const kill = (): void => {
    child.kill("SIGKILL");
  };
  const followed = follow({ stdout, stderr, status, exited, kill, unref, leaderKind: "task" });
  try {
    await once(child, "spawn");
  } catch (cause) {
    throw notMade(cause);
  }
  const pid = child.pid;
  return { ...followed, leader: pid, group: pid, startTicks: factsOf(pid)?.startTicks };
}

function notMade(cause: unknown): ExecutorError {
  const reason = "the process could not be made";
  return new ExecutorError("SANDBOX_START_FAILED", { reason }, { cause });
}

interface UnrefAble {
  unref(): void;
}

interface Followed {
  readonly pid?: number;
  readonly startTicks?: number | undefined;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Where the steps before its own program tell how far they are; or what resolves when they are done. */
  readonly status: OutputStream | Promise<void>;
  readonly exited: Promise<ExitStatus>;
  readonly leaderKind: LeaderKind;
  kill(): void;
  unref(): void;
}

function follow(process: Followed): LaunchedTask {
  const { pid = 0, startTicks, stdout, stderr, status, leaderKind, unref } = process;
  const isTold = status instanceof Promise;
  const streams = isTold ? [stdout, stderr] : [stdout, stderr, status];
  const { ring, hasEnded: isRead } = readOutput(stdout, stderr);
  let group = leaderKind === "bubblewrap" ? undefined : pid;
  const onGroup = (told: number): void => {
    group = told;
  };
  const said = isTold ? { begun: status, hasEnded: undefined } : readStatus(status, onGroup);
  const drained = Promise.all([isRead, said.hasEnded]).then(() => ring.end());
  return {
    leader: pid,
    startTicks,
    isFirst: leaderKind === "first",
    get group() {
      return group;
    },
    ring,
    begun: said.begun,
    exited: process.exited.then((how) => exitOf(how, leaderKind)),
    drained,
    closeOutput: () => {
      for (const stream of streams) stream.close();
    },
    killLeader: process.kill,
    unref,
  };
}

/** All output is read as it comes, within a pace, so that the task need not wait for us; what is kept of it is bounded by the ring. */
function readOutput(
  stdout: OutputStream,
  stderr: OutputStream,
): { readonly ring: LogRing; readonly hasEnded: Promise<unknown> } {
  const ring = new LogRing();
  const pace = new OutputPace([stdout, stderr]);
  const read = (name: LogStream, stream: OutputStream): Promise<void> =>
    heard(stream, (bytes) => {
      ring.append(name, bytes);
      pace.count(bytes.length);
    });
  return { ring, hasEnded: Promise.all([read("stdout", stdout), read("stderr", stderr)]) };
}

/** Resolves when the stream has ended. */
function heard(stream: OutputStream, onBytes: (bytes: Buffer) => void): Promise<void> {
  return new Promise((resolve) => {
    stream.listen({ onBytes, onClose: resolve });
  });
}

/**
 * `begun` resolves with the line that its last step writes. Bubblewrap's first one names the process that leads the task's own group.
 *
 * @see bwrap(1), `--json-status-fd`.
 */
function readStatus(
  status: OutputStream,
  onGroup: (pid: number) => void,
): { readonly begun: Promise<void>; readonly hasEnded: Promise<void> } {
  let text = "";
  let begin: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const hasEnded = heard(status, (bytes) => {
    if (text.length > MOST_STATUS_CHARACTERS) return;
    text += bytes.toString("latin1");
    const [, pid] = /"child-pid": (\d+)/.exec(text) ?? [];
    if (pid !== undefined) onGroup(Number(pid));
    if (text.includes(`${BEGUN}\n`)) begin();
  });
  return { begun, hasEnded };
}

/** Who waits for the task inside tells a signal the way a shell does: 128 and its number. */
function exitOf({ code, signal }: ExitStatus, leaderKind: LeaderKind): TaskExit {
  if (signal !== null) return { type: "signalled", signal };
  if (code === null) return { type: "lost" };
  const told = leaderKind !== "task" && code > 128 ? signalName(code - 128) : undefined;
  return told === undefined ? { type: "exited", exitCode: code } : { type: "signalled", signal: told };
}

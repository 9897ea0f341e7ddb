import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { whyNotMade } from "../../std/index.ts";
import type { CardsReport } from "./report.ts";
import { parseReaderMessage } from "./report.ts";

export interface ReaderOptions {
  /** Program and arguments, to which the pause between two looks is added. */
  readonly command: readonly string[];
  readonly pollMs: number;
  /** How long it may take to say its first word: to wake a driver without persistence takes seconds for each card. */
  readonly firstWordMs: number;
  /** How long it may be silent after that, on top of the pause between two looks. */
  readonly silentMs: number;
  readonly onCards: (report: CardsReport) => void;
}

/** Why a reader is of no use any more. */
export interface ReaderEnd {
  /** `unavailable`: NVML is not to be had. `silent`: the driver hangs. `failed`: all else, its own end included. */
  readonly type: "unavailable" | "failed" | "silent";
  readonly reason: string;
}

export interface RunningReader {
  /** Resolves as soon as it is of no use; never rejects. */
  readonly ended: Promise<ReaderEnd>;
  /** Resolves when its process is gone, which for one that hangs in the kernel may be never. */
  readonly gone: Promise<void>;
  /** Kills it, and no longer keeps this process alive for it. */
  abandon(): void;
}

/** A line is some 300 bytes for each card. */
const MOST_LINE_BYTES = 1_048_576;
const MOST_COMPLAINT_BYTES = 300;

/** Starts the reader's process and listens to it. Killed when it is silent for too long. */
export function runReader(options: ReaderOptions): RunningReader {
  const [program = "", ...args] = options.command;
  const child = spawn(program, [...args, String(options.pollMs)], {
    stdio: ["pipe", "pipe", "pipe"],
    env: readerEnvironment(process.env),
    windowsHide: true,
  });
  if (child.pid === undefined) return notStarted(child);
  child.on("error", () => undefined); // It could not be killed.
  child.stdin.on("error", () => undefined); // It ended first, which its exit tells.
  let settle: (end: ReaderEnd) => void = () => undefined;
  const ended = new Promise<ReaderEnd>((resolve) => {
    settle = resolve;
  });
  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
  });
  const conversation = listen(child, options, (end) => {
    settle(end);
    abandon();
  });
  const abandon = (): void => {
    conversation.stop();
    settle({ type: "failed", reason: "it was ended" });
    child.kill("SIGKILL");
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    child.unref();
  };
  return { ended, gone, abandon };
}

function notStarted(child: ChildProcess): RunningReader {
  const ended = whyNotMade(child).then(
    ({ message }): ReaderEnd => ({
      type: "failed",
      reason: `the reader of GPUs cannot be started: ${message}`,
    }),
  );
  return { ended, gone: Promise.resolve(), abandon: () => undefined };
}

/** Turns what it says, and what it does not say, into reports and one end. */
function listen(
  child: ChildProcess,
  { pollMs, firstWordMs, silentMs, onCards }: ReaderOptions,
  onEnd: (end: ReaderEnd) => void,
): { stop(): void } {
  let isOver = false;
  const end = (type: ReaderEnd["type"], reason: string): void => {
    if (!isOver) onEnd({ type, reason });
  };
  const tired = (ms: number): NodeJS.Timeout =>
    setTimeout(() => end("silent", `the driver has not answered for ${ms / 1000} s`), ms);
  let silence = tired(firstWordMs);
  const onLine = (line: string): void => {
    if (isOver) return;
    const message = parseReaderMessage(line);
    clearTimeout(silence);
    if (message?.type === "cards") {
      silence = tired(silentMs + pollMs);
      onCards(message);
    } else if (message === undefined) end("failed", "the reader of GPUs said something odd");
    else end(message.type, message.reason);
  };
  onLines(child, onLine);
  const complaint = keepTail(child);
  child.once("close", (code, signal) => {
    const how = signal === null ? `ended with ${code}` : `was ended by ${signal}`;
    end("failed", `the reader of GPUs ${how}${complaint()}`);
  });
  return {
    stop() {
      isOver = true;
      clearTimeout(silence);
    },
  };
}

function onLines(child: ChildProcess, onLine: (line: string) => void): void {
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = (lines.pop() ?? "").slice(0, MOST_LINE_BYTES);
    for (const line of lines) onLine(line);
  });
}

function keepTail(child: ChildProcess): () => string {
  let tail = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    tail = (tail + chunk).slice(-MOST_COMPLAINT_BYTES);
  });
  return () => (tail === "" ? "" : `: ${tail.trim().replaceAll(/\s+/g, " ")}`);
}

const PASSED_ON =
  /^(PATH|HOME|LANG|LC_ALL|TMPDIR|LD_LIBRARY_PATH|LD_PRELOAD|HEARTH_NVML_LIBRARY|NVIDIA_.*|CUDA_.*)$/;

/** What finds and steers the driver's library; none of the daemon's secrets. */
export function readerEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => PASSED_ON.test(name)));
}

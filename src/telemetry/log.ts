import { isatty } from "node:tty";
import { pino } from "pino";
import type { Log, LogLevel } from "../core/index.ts";
import { LOG_EVENTS } from "../core/index.ts";
import { plainLine } from "./plain-line.ts";
import { printableFields } from "./redact.ts";

/** More than this unwritten, and lines are dropped: a stuck reader must not fill our memory. */
const LONGEST_BACKLOG_BYTES = 4 * 1024 * 1024;

/** Lines of this long are written together: each write costs a tenth of a millisecond, and a busy queue says a thousand lines a second. */
const GATHER_MS = 10;

/** How long the end of the daemon waits for a reader of its log that does not read. */
const FLUSH_MS = 500;

export interface LogOptions {
  /** Less urgent lines are not written. */
  readonly level: LogLevel;
  /** A file descriptor: 1 is standard output, 2 standard error. */
  readonly descriptor?: number;
  /** Lines for a person instead of JSON. Default: where the descriptor is a terminal. */
  readonly isPlain?: boolean;
  /** Facts that every line carries. */
  readonly fixed?: Readonly<Record<string, string>>;
}

/** The daemon's log: one JSON object per line, or plain lines on a terminal. Disposing it writes out what is still in memory. */
export interface OpenLog extends Log, AsyncDisposable {
  /** Takes effect with the next line. */
  setLevel(level: LogLevel): void;
}

/** Opens the log. Writing never waits for the reader; warnings and errors, and what was said before them, are handed on at once. */
export function openLog({
  level,
  descriptor = 1,
  isPlain = isatty(descriptor),
  fixed = {},
}: LogOptions): OpenLog {
  const destination = pino.destination({
    dest: descriptor,
    sync: false,
    // Every line is written at once; 0 would mean the same, but then `flush` does not wait.
    minLength: 1,
    maxLength: LONGEST_BACKLOG_BYTES,
  });
  // A reader that has gone away (EPIPE) is its own wish; there is nobody left to tell.
  destination.on("error", () => undefined);
  const gathered = gather((text) => void destination.write(text));
  const logger = pino(
    {
      level,
      base: { ...fixed },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    gathered,
  );
  return {
    log(lineLevel, event, fields = {}) {
      if (!logger.isLevelEnabled(lineLevel)) return;
      const printed = printableFields(fields);
      if (!isPlain) logger[lineLevel]({ event, ...printed }, LOG_EVENTS[event]);
      else gathered.write(plainLine({ level: lineLevel, event, fields: printed, time: new Date() }));
      if (lineLevel === "warn" || lineLevel === "error") gathered.release();
    },
    setLevel(next) {
      logger.level = next;
    },
    [Symbol.asyncDispose]: () => {
      gathered.release();
      return flush(destination);
    },
  };
}

interface Gathered {
  write(line: string): void;
  /** Hands on what there is. */
  release(): void;
}

function gather(write: (text: string) => void): Gathered {
  let lines = "";
  let timer: NodeJS.Timeout | undefined;
  const release = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (lines !== "") write(lines);
    lines = "";
  };
  return {
    release,
    write(line) {
      lines += line;
      timer ??= setTimeout(release, GATHER_MS);
    },
  };
}

/** A write may be under way: what it holds is only safe once it has come back. */
function flush(destination: ReturnType<typeof pino.destination>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, FLUSH_MS);
    // An error here means that the reader is gone and the lines have no way out.
    destination.flush(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

import type { Readable } from "node:stream";
import { styleText } from "node:util";
import { readerGone } from "./reader-gone.ts";
import type { Terminal } from "./top/screen.ts";

type Style = "bold" | "dim" | "inverse" | "red" | "green" | "yellow";

/** The terminal, or what stands in for it. Standard output carries data, standard error talk. */
export interface Io {
  /** Resolves when the text is on its way, so that a slow reader slows us. */
  out(text: string | Uint8Array): Promise<void>;
  err(text: string): void;
  /** A line that the next one replaces; only seen on a terminal. An empty one takes it away. */
  status(text: string): void;
  /** Whether standard output, or standard error, is a terminal. */
  readonly isOutTty: boolean;
  readonly isErrTty: boolean;
  readonly stdin: Readable;
  /** Colours for standard output, where it takes them. */
  style(style: Style, text: string): string;
  /** Until the signal aborts: ends the program when nobody reads standard output any more, also while nothing is printed. */
  endWithReader(signal: AbortSignal): void;
  /** The whole terminal, for a live view; `undefined` where input or output is none, or it is too dumb for that. */
  terminal(): Terminal | undefined;
}

const CLEAR_LINE = "\r\u001b[K";

/** The process's own streams. A reader that has gone away (`hearth ps | head -1`) ends the program quietly. */
export function processIo(env: Readonly<Record<string, string | undefined>>): Io {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      process.exit(0);
    });
  }
  const isOutTty = process.stdout.isTTY;
  const isErrTty = process.stderr.isTTY;
  const isColoured = takesColour(env, isOutTty);
  let hasStatus = false;
  const clear = (): void => {
    if (hasStatus) process.stderr.write(CLEAR_LINE);
    hasStatus = false;
  };
  return {
    isOutTty,
    isErrTty,
    stdin: process.stdin,
    async out(text) {
      clear();
      if (process.stdout.write(text)) return;
      await new Promise<void>((resolve) => process.stdout.once("drain", resolve));
    },
    err(text) {
      clear();
      process.stderr.write(text.endsWith("\n") ? text : `${text}\n`);
    },
    status(text) {
      if (!isErrTty || env["TERM"] === "dumb") return;
      clear();
      if (text === "") return;
      process.stderr.write(text.slice(0, Math.max(10, process.stderr.columns - 1)));
      hasStatus = true;
    },
    endWithReader(signal) {
      readerGone(signal).then(
        () => process.exit(0),
        () => undefined, // it is not followed any more
      );
    },
    terminal: () =>
      isOutTty && process.stdin.isTTY && env["TERM"] !== "dumb" ? processTerminal() : undefined,
    style: (style, text) => (isColoured ? styleText(style, text, { validateStream: false }) : text),
  };
}

/** https://no-color.org, and its opposite. */
function takesColour(env: Readonly<Record<string, string | undefined>>, isTty: boolean): boolean {
  if ((env["NO_COLOR"] ?? "") !== "") return false;
  const forced = env["FORCE_COLOR"];
  if (forced !== undefined && forced !== "") return forced !== "0";
  return isTty && env["TERM"] !== "dumb";
}

function processTerminal(): Terminal {
  const { stdin, stdout } = process;
  return {
    get columns() {
      return stdout.columns;
    },
    get rows() {
      return stdout.rows;
    },
    write: (text) => {
      stdout.write(text);
    },
    onInput(listener) {
      const onData = (chunk: Buffer | string): void => listener(chunk.toString());
      stdin.setRawMode(true);
      stdin.on("data", onData);
      return () => {
        stdin.off("data", onData);
        stdin.setRawMode(false);
        stdin.pause();
      };
    },
    onResize(listener) {
      stdout.on("resize", listener);
      return () => {
        stdout.off("resize", listener);
      };
    },
  };
}

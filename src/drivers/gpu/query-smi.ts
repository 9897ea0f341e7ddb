import { spawn } from "node:child_process";
import { whyNotMade } from "../../std/index.ts";
import type { Card, CardsReport } from "./report.ts";
import { readerEnvironment } from "./run-reader.ts";

/** Fields that drivers of the last ten years know; a name may hold a comma, so it comes last. */
const FIELDS = [
  "index",
  "uuid",
  "pci.bus_id",
  "memory.total",
  "memory.used",
  "utilization.gpu",
  "ecc.errors.uncorrected.volatile.total",
  "driver_version",
  "name",
] as const;

export const SMI_TIMEOUT_MS = 5000;
const UUID = /^GPU-[0-9A-Za-z-]{1,64}$/;
/** A pebibyte: more than any card has for years to come. */
const MOST_MEBIBYTES = 2 ** 30;
const MEBIBYTE = 1_048_576;
const MOST_OUTPUT_BYTES = 262_144;

/** What one run of `nvidia-smi` came to. */
export type SmiAnswer =
  | { readonly type: "cards"; readonly report: CardsReport }
  | { readonly type: "failed"; readonly reason: string };

export interface SmiRun {
  /** Never rejects, and comes within the time limit even if the program cannot be killed. */
  readonly answer: Promise<SmiAnswer>;
  /** Resolves when its process is gone. */
  readonly gone: Promise<void>;
}

/** Asks `nvidia-smi` once; kills it after its time or when the signal aborts. */
export function querySmi(program: string, signal: AbortSignal, timeoutMs = SMI_TIMEOUT_MS): SmiRun {
  const child = spawn(program, [`--query-gpu=${FIELDS.join(",")}`, "--format=csv,noheader,nounits"], {
    stdio: ["ignore", "pipe", "ignore"],
    env: readerEnvironment(process.env),
  });
  if (child.pid === undefined) return { answer: whyNotMade(child).then(notStarted), gone: Promise.resolve() };
  child.on("error", () => undefined); // It could not be killed.
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    said = (said + chunk).slice(0, MOST_OUTPUT_BYTES);
    if (said.length === MOST_OUTPUT_BYTES) stop("nvidia-smi does not stop talking");
  });
  let giveUp: (reason: string) => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
  });
  const answer = new Promise<SmiAnswer>((resolve) => {
    giveUp = (reason) => resolve({ type: "failed", reason });
    child.once("close", (code) => resolve(judge(said, code)));
  });
  const stop = (reason: string): void => {
    giveUp(reason);
    child.kill("SIGKILL");
    child.stdout.destroy();
    child.unref();
  };
  const timer = setTimeout(() => stop(`nvidia-smi has not answered for ${timeoutMs / 1000} s`), timeoutMs);
  const onAbort = (): void => stop("it is not asked any more");
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  const done = answer.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  });
  return { answer: done, gone };
}

function notStarted({ message, code }: NodeJS.ErrnoException): SmiAnswer {
  const reason = code === "ENOENT" ? "nvidia-smi is not there" : `nvidia-smi cannot be started: ${message}`;
  return { type: "failed", reason };
}

/** A run that ends badly for one lost card may still have told of the others. */
function judge(said: string, code: number | null): SmiAnswer {
  const report = parseSmi(said);
  if (report.cards.length > 0 || code === 0) return { type: "cards", report };
  const words = said.trim().split("\n").at(-1)?.slice(0, 300) ?? "";
  return {
    type: "failed",
    reason: `nvidia-smi ended with ${code ?? "a signal"}${words === "" ? "" : `: ${words}`}`,
  };
}

/** Reads lines of values in the order of the query; words in brackets stand for figures that are not to be had. */
export function parseSmi(text: string): CardsReport {
  const rows = text.split("\n").map((line) => line.split(",").map((part) => part.trim()));
  const whole = rows.filter((row) => row.length >= FIELDS.length && /^\d+$/.test(row[0] ?? ""));
  const cards: Card[] = [];
  const unreadable: CardsReport["unreadable"][number][] = [];
  for (const row of whole) {
    const reason = whyUnreadable(row);
    if (reason === undefined) cards.push(toCard(row));
    else unreadable.push({ index: Number(row[0]), reason });
  }
  return { driver: whole[0]?.[7] ?? "", cards, unreadable };
}

/** A row that nobody can make sense of is no card: it would be handed out. */
function whyUnreadable([, id = "", , total = ""]: readonly string[]): string | undefined {
  if (!UUID.test(id)) return `nvidia-smi shows no UUID, but ${quoted(id)}`;
  const isTold = !/^\[.*\]$/.test(total);
  if (isTold && (toNumber(total) ?? Number.POSITIVE_INFINITY) > MOST_MEBIBYTES)
    return `nvidia-smi shows ${quoted(total)} for its memory`;
  return undefined;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

function toCard(row: readonly string[]): Card {
  const [index = "", id = "", pciBusId = "", total = "", used = "", compute = "", errors = ""] = row;
  const fault = faultOf(row, toNumber(errors) ?? 0);
  return {
    id,
    index: Number(index),
    model: row.slice(FIELDS.length - 1).join(", "),
    pciBusId,
    memoryBytes: inBytes(total),
    memoryUsedBytes: inBytes(used),
    computePercent: Math.min(100, toNumber(compute) ?? 0),
    pids: [],
    ...(fault === undefined ? {} : { fault }),
  };
}

function faultOf(row: readonly string[], errors: number): string | undefined {
  const bad = row.find((value) => /unknown error|is lost|reset required|^\[?err!?\]?$/i.test(value));
  if (bad !== undefined) return `nvidia-smi shows "${bad}"`;
  return errors > 0
    ? `${errors} uncorrected memory errors (ECC) since its driver was loaded: reset it`
    : undefined;
}

function inBytes(mebibytes: string): number {
  return (toNumber(mebibytes) ?? 0) * MEBIBYTE;
}

function toNumber(text: string): number | undefined {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
}

import type { Gpu, Host, Job, LiveSandbox, WaitingCall } from "../../client/index.ts";
import { eventLine } from "../event-line.ts";
import type { Io } from "../io.ts";
import { formatBytes, formatCores, formatDuration, visible } from "../print.ts";
import type { TopState } from "./state.ts";

/** Paints a piece of text where the terminal takes colours. */
export type Paint = Io["style"];

const BAR_WIDTH = 20;
const SPARKS = "▁▂▃▄▅▆▇█";

/** The lines about the host: its state, its gauges, its calls and its cards. */
export function headLines(state: TopState, paint: Paint): readonly string[] {
  const { host, engine } = state;
  return [
    titleLine(host, paint),
    ...(engine.isHealthy ? [] : [paint("red", `the engine does not answer: ${visible(engine.detail)}`)]),
    gauge("cpu", host.cpuPercent, `of ${formatCores(host.cpuMillis)} cores`, paint),
    gauge("memory", host.memoryPercent, `of ${formatBytes(host.memoryBytes)}`, paint),
    gauge(
      "tasks",
      percentOf(host.reserved.cpuMillis, host.capacity.cpuMillis),
      `${formatCores(host.reserved.cpuMillis)} of ${formatCores(host.capacity.cpuMillis)} cores held, ` +
        `${formatBytes(host.reserved.memoryBytes)} of ${formatBytes(host.capacity.memoryBytes)}`,
      paint,
    ),
    ...host.gpus.map((card) => cardLine(card, paint)),
    callsLine(state),
  ];
}

function titleLine(host: Host, paint: Paint): string {
  const { version, driver, state, running, waiting, sandboxes, jobs } = host;
  const word = state === "running" ? paint("green", state) : paint("yellow", state);
  const ofJobs = jobs.running + jobs.waiting === 0 ? "" : `  ${jobs.running} jobs  ${jobs.waiting} waiting`;
  return `${paint("bold", "hearth")} ${version}  ${driver}  ${word}   ${running} running  ${waiting} waiting  ${sandboxes} warm${ofJobs}`;
}

function gauge(name: string, percent: number, of: string, paint: Paint): string {
  const shown = Math.min(100, Math.max(0, percent));
  const full = Math.round((shown * BAR_WIDTH) / 100);
  const bar = `${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)}`;
  const colour = shown >= 90 ? "red" : shown >= 70 ? "yellow" : "green";
  return `${name.padEnd(7)} ${paint(colour, bar)} ${shown.toFixed(0).padStart(3)} %  ${of}`;
}

function cardLine(card: Gpu, paint: Paint): string {
  const held = card.holders.length === 0 ? "free" : `${card.holders.length} holding`;
  const state = !card.isHealthy
    ? paint("red", `unusable: ${visible(card.reason ?? "")}`)
    : card.isBusyOutside
      ? paint("yellow", "busy outside")
      : held;
  const memory = `${formatBytes(card.memoryUsedBytes)} of ${formatBytes(card.memoryBytes)}`;
  const name = `gpu ${card.index}`;
  return `${gauge(name, card.computePercent, memory, paint)}  ${visible(card.model)}  ${state}`;
}

function callsLine({ callsPerSecond, latency }: TopState): string {
  const most = Math.max(1, ...callsPerSecond);
  const bars = callsPerSecond.map((rate) =>
    rate === 0 ? " " : (SPARKS[Math.ceil((rate / most) * SPARKS.length) - 1] ?? " "),
  );
  const now = callsPerSecond.at(-1) ?? 0;
  const times = latency === undefined ? "" : `   p50 ${formatMs(latency.p50)}  p99 ${formatMs(latency.p99)}`;
  return `calls   ${formatRate(now)}/s${times}   ${bars.join("")}`.trimEnd();
}

function formatRate(rate: number): string {
  return rate < 10 && !Number.isInteger(rate) ? rate.toFixed(1) : rate.toFixed(0);
}

function formatMs(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : formatDuration(ms);
}

function percentOf(part: number, whole: number): number {
  return whole === 0 ? 0 : (part / whole) * 100;
}

const COLUMNS = [
  ["TASK", (one: LiveSandbox) => visible(one.image)],
  ["STATE", (one: LiveSandbox) => one.tier],
  ["CLASS", (one: LiveSandbox) => one.isolation ?? "-"],
  ["CPU", (one: LiveSandbox) => formatCores(one.resources.cpuMillis)],
  ["MEM", (one: LiveSandbox) => formatBytes(one.resources.memoryBytes)],
  ["GPUS", (one: LiveSandbox) => (one.gpuIds.length === 0 ? "-" : String(one.gpuIds.length))],
  ["SLOTS", (one: LiveSandbox) => `${one.slotsUsed}/${one.slots}`],
  ["CALLS", (one: LiveSandbox) => String(one.calls)],
  ["AGE", (one: LiveSandbox, atMs: number) => sinceText(one.createdAt, atMs)],
  ["IDLE", (one: LiveSandbox, atMs: number) => sinceText(one.idleSince, atMs)],
] as const;

/** A name is cut no shorter than this, however narrow the screen is. */
const LEAST_NAME = 12;

/**
 * The warm tasks as a table: its head, then one line each.
 *
 * @param columns what there is room for: long names are cut at their front, where images are alike, so that the figures are seen.
 */
export function taskLines(
  sandboxes: readonly LiveSandbox[],
  atMs: number,
  columns = Number.POSITIVE_INFINITY,
): { readonly head: string; readonly rows: readonly string[] } {
  const cells = sandboxes.map((one) => COLUMNS.map(([, cellOf]) => cellOf(one, atMs)));
  const [longest = 0, ...others] = COLUMNS.map(([head], column) =>
    Math.max(head.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const taken = others.reduce((sum, width) => sum + GAP.length + width, 0);
  const widths = [Math.min(longest, Math.max(LEAST_NAME, columns - taken)), ...others];
  const line = ([name = "", ...row]: readonly string[]): string =>
    [cutFront(name, widths[0] ?? 0), ...row].map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(GAP);
  return { head: line(COLUMNS.map(([head]) => head)), rows: cells.map(line) };
}

const GAP = "  ";

function cutFront(text: string, width: number): string {
  return text.length <= width ? text : `…${text.slice(text.length - width + 1)}`;
}

function sinceText(time: string | undefined, atMs: number): string {
  return time === undefined ? "-" : formatDuration(Math.max(0, atMs - Date.parse(time)));
}

/** What waits, and why: one line for each task, and how many more there are. */
export function waitingLines(waiting: readonly WaitingCall[], most: number): readonly string[] {
  const lines = waiting
    .slice(0, most)
    .map(
      ({ image, callers, waitedMs, reason, jobIds }) =>
        `${callers} ${jobIds === undefined ? "x" : callers === 1 ? "job of" : "jobs of"} ${visible(image)}, ${formatDuration(waitedMs)}: ${visible(reason)}`,
    );
  return waiting.length > most ? [...lines, `${waiting.length - most} more: hearth ps`] : lines;
}

/** The jobs that hold room: one line each, and how many more there are. */
export function jobLines(jobs: readonly Job[], most: number): readonly string[] {
  const lines = jobs.slice(0, most).map(({ jobId, attempt, image, serves, state, ranMs, resources }) => {
    const name = attempt > 1 ? `${visible(jobId)} (try ${attempt})` : visible(jobId);
    const ran = ranMs === undefined ? "" : `, ran ${formatDuration(ranMs)}`;
    const held = `${formatCores(resources.cpuMillis)} cores, ${formatBytes(resources.memoryBytes)}`;
    return `${name}  ${visible(serves ?? image)}  ${state}${ran}  ${held}`;
  });
  return jobs.length > most ? [...lines, `${jobs.length - most} more: hearth ps`] : lines;
}

/** The last things that went wrong or changed, newest first; what calls come to is shown above. */
export function eventLines({ events }: TopState, most: number): readonly string[] {
  return events
    .filter(({ type }) => type !== "calls" && type !== "waiting")
    .slice(-most)
    .reverse()
    .map((event) => `${event.at.slice(11, 19)}  ${eventLine(event)}`);
}

import type { Run } from "../client/index.ts";
import { formatBytes, formatCores, formatDuration } from "./print.ts";

/** One run as a row of the list. */
export function runCells(run: Run): string[] {
  const { id, door, image, state, createdAt, receipt } = run;
  const cpuUs = receipt?.used.cpuUs;
  return [
    id,
    door,
    image,
    state,
    createdAt,
    tookOf(run),
    cpuUs === undefined ? "-" : formatUs(cpuUs),
    endOf(run),
  ];
}

function endOf({ answer, problem }: Run): string {
  return answer === undefined ? (problem?.code ?? "-") : `${answer.status}, ${answer.bytes} bytes`;
}

function tookOf({ createdAt, endedAt, receipt }: Run): string {
  if (receipt !== undefined) return formatUs(receipt.wallUs);
  return endedAt === undefined ? "-" : formatDuration(Date.parse(endedAt) - Date.parse(createdAt));
}

/** Everything about one run, for a person. */
export function runLines(run: Run): readonly string[] {
  const { id, door, image, state, createdAt, endedAt, placement, answer, problem, receipt } = run;
  const rows: [string, string | undefined][] = [
    ["run", id],
    ["task", image],
    ["door", door],
    ["state", problem === undefined ? state : `${state}: ${problem.detail} (${problem.code})`],
    ["answer", answer && `${answer.status}, ${answer.bytes} bytes${answer.isKept ? "" : ", not kept"}`],
    ["started", createdAt],
    ["ended", endedAt],
    ["sandbox", placement && `${placement.sandboxId}, ${placement.start} start`],
    ["class", placement?.isolation],
    ["content", placement?.imageDigest],
    ...(receipt === undefined ? [] : receiptRows(receipt)),
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(9)} ${value}`]));
}

function receiptRows({
  seq,
  booked,
  used,
  wallUs,
  phasesUs,
}: NonNullable<Run["receipt"]>): [string, string][] {
  const cards = booked.gpuIds.length === 0 ? "" : `, ${booked.gpuIds.join(" ")}`;
  const phases = Object.entries(phasesUs).map(([name, us = 0]) => `${name} ${formatUs(us)}`);
  const cpu = used.cpuUs === undefined ? "CPU not known" : `${formatUs(used.cpuUs)} CPU`;
  const peak =
    used.memoryPeakBytes === undefined ? "memory not known" : `${formatBytes(used.memoryPeakBytes)} at most`;
  const shared = used.reading === "shared" ? " (shared out among calls in one sandbox)" : "";
  return [
    ["took", [formatUs(wallUs), ...phases].join(", ")],
    ["booked", `${formatCores(booked.cpuMillis)} cores, ${formatBytes(booked.memoryBytes)}${cards}`],
    ["used", `${cpu}, ${peak}, ${used.bytesIn} bytes in, ${used.bytesOut} out${shared}`],
    ["receipt", `number ${seq} of the chain`],
  ];
}

function formatUs(us: number): string {
  if (us >= 1_000_000) return formatDuration(us / 1000);
  const ms = us / 1000;
  return `${ms < 10 ? ms.toFixed(2) : Math.round(ms)} ms`;
}

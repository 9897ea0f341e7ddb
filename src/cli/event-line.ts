import type { HostEvent } from "../client/index.ts";
import { formatDuration, visible } from "./print.ts";

type Of<T extends HostEvent["type"]> = Extract<HostEvent, { type: T }>;

const LINES: { readonly [T in HostEvent["type"]]: (event: Of<T>) => string } = {
  sandbox: ({ sandboxId, image, from, to, cause }) =>
    `sandbox ${sandboxId} (${image}): ${from === undefined ? "" : `${from} -> `}${to}${cause === undefined ? "" : `, ${cause}`}`,
  start: ({ image, isReady, isUnwanted, tookMs, problem }) => {
    if (isReady) return `start of ${image}: ready after ${formatDuration(tookMs)}`;
    return `start of ${image}: ${isUnwanted ? "given up, nobody wants it" : `failed, ${problem?.detail ?? "no reason"}`}`;
  },
  calls: ({ answered, failed, cancelled, tookMs }) =>
    `calls: ${answered} answered, ${failed} failed, ${cancelled} cancelled; p50 ${tookMs.p50} ms, p99 ${tookMs.p99} ms`,
  callFailed: ({ image, code, detail }) => `call of ${image} failed: ${code}, ${detail}`,
  callsFailed: ({ untold, byCode }) =>
    `${untold} more calls failed: ${Object.entries(byCode)
      .map(([code, count]) => `${code} ${count}`)
      .join(", ")}`,
  waiting: ({ image, callers, reason, areJobs }) => {
    const kind = areJobs === true ? "job" : "call";
    return callers === 0 ? `no ${kind} of ${image} waits any more` : `${callers} of ${image} wait: ${reason}`;
  },
  job: ({ jobId, attempt, image, serves, from, to }) =>
    `job ${jobId}, try ${attempt} (${serves ?? image}): ${from === undefined ? "" : `${from} -> `}${to}`,
  jobEnded: ({ jobId, attempt, serves, cause, ranMs, problem }) =>
    `job ${jobId}, try ${attempt}${serves === undefined ? "" : ` (${serves})`}: ${cause} after ${formatDuration(ranMs)}${problem === undefined ? "" : `; ${problem.detail}`}`,
  executor: ({ state }) => `executor: ${state}`,
  config: ({ changed }) =>
    `settings: ${changed.map(({ key, before, after }) => `${key} ${JSON.stringify(before)} -> ${JSON.stringify(after)}`).join(", ")}`,
  engine: ({ isHealthy, detail }) =>
    isHealthy ? "the engine answers" : `the engine does not answer: ${detail}`,
  offer: ({ host }) => `this host now offers: ${host.isolation.join(", ")}`,
  gap: ({ reason }) => `gap: ${GAPS[reason]}`,
};

const GAPS: Readonly<Record<Of<"gap">["reason"], string>> = {
  restarted: "the daemon was started anew",
  overrun: "some events were lost on the way",
  unknown: "no event has had the id to go on after",
};

/** An event as one line for a person; nothing that a task has chosen is obeyed by the terminal. */
export function eventLine(event: HostEvent): string {
  // The table pairs each type with its own line; only here are all of them one type.
  const line = LINES[event.type] as (event: HostEvent) => string;
  return visible(line(event));
}

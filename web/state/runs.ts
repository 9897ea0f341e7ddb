import { effect, signal } from "@preact/signals";
import type { HostEvent, Run } from "../../src/client/index.ts";
import { daemon } from "./daemon.ts";
import { history } from "./history.ts";
import { events, link } from "./live.ts";

const EVERY_MS = 3000;
/** A question that hangs is given up, so that there is a next one. */
const ANSWER_MS = 10_000;
/** A job's record follows its end by so much at most. */
const SETTLES_MS = 5000;
const SHOWN = 30;

/** The last runs; `undefined` until they are known. */
export const runs = signal<readonly Run[] | undefined>(undefined);

/** Asks anew when calls or jobs have ended, at most every few seconds; nothing is asked while nothing happens. */
export function startRuns(): void {
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let isDue = true;
  let isAsking = false;
  let lastOfJobs: HostEvent | undefined;
  let settlesAtMs = Number.NEGATIVE_INFINITY;
  effect(() => {
    const { figures } = history.value;
    if (link.value.type !== "open") return;
    if ((figures.answered.at(-1) ?? 0) + (figures.failed.at(-1) ?? 0) > 0) isDue = true;
    const ofJobs = events.value.findLast(({ type }) => type === "job");
    if (ofJobs !== lastOfJobs) settlesAtMs = performance.now() + SETTLES_MS;
    lastOfJobs = ofJobs;
    if (performance.now() < settlesAtMs) isDue = true;
    if (!isDue || isAsking || performance.now() - askedAtMs < EVERY_MS) return;
    isDue = false;
    isAsking = true;
    askedAtMs = performance.now();
    daemon()
      .runs({ limit: SHOWN, signal: AbortSignal.timeout(ANSWER_MS) })
      .then((list) => {
        runs.value = list.runs;
      })
      .catch(() => {
        // Shown as it last was; the link's own state says what is wrong.
        isDue = true;
      })
      .finally(() => {
        isAsking = false;
      });
  });
}

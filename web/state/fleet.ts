import { effect, signal } from "@preact/signals";
import type { Fleet } from "../../src/client/index.ts";
import { daemon } from "./daemon.ts";
import { host, link } from "./live.ts";

const EVERY_MS = 5000;
/** A question that hangs is given up, so that there is a next one. */
const ANSWER_MS = 10_000;

/** The hosts on the queue; `undefined` while this host shares none, or nobody can say. */
export const fleet = signal<Fleet | undefined>(undefined);

/** Asks every few seconds, with the samples that come each second; nothing is asked while the daemon is away. */
export function startFleet(): void {
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let isAsking = false;
  effect(() => {
    // A new object with each sample, so this runs each second.
    if (link.value.type !== "open") return;
    // Nobody knows of a fleet where no queue is shared.
    if (host.value?.takesJobs !== true) {
      fleet.value = undefined;
      return;
    }
    if (isAsking || performance.now() - askedAtMs < EVERY_MS) return;
    isAsking = true;
    askedAtMs = performance.now();
    daemon()
      .fleet({ signal: AbortSignal.timeout(ANSWER_MS) })
      .then((found) => {
        fleet.value = found.hosts.length === 0 ? undefined : found;
      })
      .catch(() => {
        // Hosts that nobody can vouch for now are not shown as if they were there.
        fleet.value = undefined;
      })
      .finally(() => {
        isAsking = false;
      });
  });
}

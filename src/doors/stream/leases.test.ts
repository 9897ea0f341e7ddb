import { expect, test } from "vitest";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import type { Claim } from "../../core/index.ts";
import type { JobDesk } from "./desk.ts";
import { HeldJob } from "./held-job.ts";
import { keepLeases } from "./leases.ts";

const CLAIM: Claim = {
  stream: "s",
  entryId: "1-1",
  jobId: "j",
  fields: {},
  attempt: 1,
  deaths: 0,
  failures: 0,
  isOwn: true,
};

/** Renews until the first answer has been told; a test says what happens while it is asked. */
async function renewed(job: HeldJob, meanwhile: () => void): Promise<void> {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const renew = (claims: readonly Claim[]): Promise<readonly Claim[]> => {
    meanwhile();
    stop.abort();
    return Promise.resolve(claims);
  };
  const options = { clock, settings: { leaseMs: 3000 }, log: { log: () => undefined } };
  const desk = { options, source: { renew } } as unknown as JobDesk;
  const keeping = keepLeases(desk, () => [job], stop.signal);
  await clock.advance(1000);
  await keeping;
}

test("who holds a job no longer is told so", async () => {
  const job = new HeldJob(CLAIM, 0, 0);
  await renewed(job, () => undefined);
  expect(job.isLost).toBe(true);
});

test("I12: an attempt that is counted anew while the old one is renewed is not lost with that", async () => {
  const counted = new HeldJob(CLAIM, 0, 0);
  await renewed(counted, () => {
    counted.claim = { ...CLAIM, attempt: 2 };
  });
  expect(counted.isLost).toBe(false);
  // The queue has counted it, and the answer is on its way.
  const counting = new HeldJob(CLAIM, 0, 0);
  await renewed(counting, () => {
    counting.isResuming = true;
  });
  expect(counting.isLost).toBe(false);
});

import type { Rack } from "../gpus/rack.ts";
import { cardsInReach } from "../gpus/rack.ts";
import type { Id, SandboxId } from "../ids.ts";
import type { DoorName, Share } from "../settings.ts";
import type { Amounts, TaskResources } from "../task/resources.ts";
import { fits, plus } from "../task/resources.ts";
import { jobLimit } from "./job-limit.ts";
import type { Holding, Room } from "./plan-room.ts";
import { planRoom } from "./plan-room.ts";

/** A wish for room that waits: to start a sandbox, or to wake a frozen one. */
export interface Demand {
  readonly id: Id<"demand">;
  readonly door: DoorName;
  /** What must be booked on top of what is. */
  readonly need: TaskResources;
  /** The frozen sandbox to wake, if it is that; it is nobody's victim here. */
  readonly keep: SandboxId | undefined;
  readonly enqueuedAtMs: number;
  /** Whether it is for a job: what it gets it keeps for as long as its command runs, which nobody can tell. Default: no. */
  readonly isJob?: boolean;
}

export interface AdmitPolicy {
  readonly order: "recency" | "cost";
  readonly passOverMs: number;
  readonly shares: Readonly<Record<DoorName, Share>>;
}

/** Everything that the decision rests on, as it stands now. */
export interface AdmitView {
  /** What all tasks may hold. */
  readonly capacity: Amounts;
  /** In the order of arrival. */
  readonly demands: readonly Demand[];
  /** What is free once everything under way has ended: room being made is counted, room promised is not. */
  readonly free: Amounts;
  /** The same of the cards: those who are leaving are off it, and what is promised is on it. */
  readonly rack: Rack;
  readonly holdings: readonly Holding[];
  /** Jobs that hold room: nobody's victims, and nobody can tell when they end. */
  readonly jobs: readonly Holding[];
  readonly heldByDoor: (door: DoorName) => Amounts;
  readonly nowMs: number;
}

export type Admission =
  /** The demand gets its room, after these sandboxes have gone. */
  | { readonly type: "grant"; readonly demand: Demand; readonly room: Room }
  /**
   * Nobody gets anything now, because this demand has waited its time: these sandboxes take no new calls until it fits.
   */
  | { readonly type: "hold"; readonly demand: Demand; readonly sandboxIds: readonly SandboxId[] }
  | { readonly type: "wait" };

/**
 * Decides which waiting demand is next. First come, first served, with two exceptions: a door that is within its share goes
 * before those that live on lent room, and a demand that does not fit may be passed by later ones until it has waited
 * `passOverMs`. From then on nobody passes it, and sandboxes are held for it; so each demand waits a bounded time plus
 * the calls that run, and nothing starves. A demand whose cards others than us keep busy, or that are broken, is passed for as
 * long as that lasts: no sandbox of ours could make room for it, and everybody else would wait for strangers. A demand that only
 * the end of a job can make room for is passed by calls, whose sandboxes can be had back, and by no other job.
 */
export function admit(view: AdmitView, policy: AdmitPolicy): Admission {
  let isForCalls = false;
  for (const demand of inOrder(view, policy)) {
    if (isForCalls && demand.isJob === true) continue;
    const outlook = outlookOf(demand, view, policy);
    if (outlook === "passedByCalls") isForCalls = true;
    else if (outlook !== "passed") return outlook;
  }
  return { type: "wait" };
}

/** What becomes of one demand, if nobody before it gets anything; or who may go before it. */
function outlookOf(
  demand: Demand,
  view: AdmitView,
  policy: AdmitPolicy,
): Admission | "passed" | "passedByCalls" {
  const mayHold = isWithinLimit(demand, view, policy);
  const options = { order: policy.order, nowMs: view.nowMs, keep: demand.keep };
  const room = mayHold ? planRoom(demand.need, view, view.holdings, options) : undefined;
  if (room !== undefined) return { type: "grant", demand, room };
  if (view.nowMs - demand.enqueuedAtMs < policy.passOverMs) return "passed";
  if (cardsInReach(demand.need, view.rack) < demand.need.gpuCount) return "passed";
  if (!mayHold) return "passedByCalls";
  const sandboxIds = planHold(demand, view, policy, view.holdings);
  if (sandboxIds !== undefined) return { type: "hold", demand, sandboxIds };
  // Where not even the jobs' ends would be enough, sandboxes that start or wake stand in the way: that lasts a moment only.
  const everybody = [...view.holdings, ...view.jobs];
  const hangsOnJobs = view.jobs.length > 0 && planHold(demand, view, policy, everybody) !== undefined;
  return hangsOnJobs ? "passedByCalls" : { type: "hold", demand, sandboxIds: [] };
}

/** Whether a job may hold that much beside the shares of the other doors. */
function isWithinLimit({ isJob, door, need }: Demand, view: AdmitView, { shares }: AdmitPolicy): boolean {
  return isJob !== true || fits(plus(view.heldByDoor(door), need), jobLimit(view.capacity, shares, door));
}

/**
 * The sandboxes that, once idle, make enough room; those that are idle now are counted first, and held as well: one that took
 * a call while the others still run would put the room off for as long as callers keep coming.
 *
 * @returns `undefined` when all of them together would not be enough.
 */
function planHold(
  demand: Demand,
  view: AdmitView,
  policy: AdmitPolicy,
  holdings: readonly Holding[],
): readonly SandboxId[] | undefined {
  const asIfIdle = holdings.map((holding) =>
    holding.isIdle ? holding : { ...holding, isIdle: true, lastUsedMs: Number.MAX_SAFE_INTEGER },
  );
  const options = { order: policy.order, nowMs: view.nowMs, keep: demand.keep };
  const room = planRoom(demand.need, view, asIfIdle, options);
  return room === undefined ? undefined : [...room.freeze, ...room.evict];
}

function inOrder(view: AdmitView, policy: AdmitPolicy): readonly Demand[] {
  const isWithinShare = (demand: Demand): boolean =>
    fits(plus(view.heldByDoor(demand.door), demand.need), policy.shares[demand.door]);
  // Demands that have waited their time stay first, or a door could live on its share for ever and starve the rest.
  const rank = (demand: Demand): number =>
    view.nowMs - demand.enqueuedAtMs >= policy.passOverMs ? 0 : isWithinShare(demand) ? 1 : 2;
  const ranked = view.demands.map((demand) => ({ demand, rank: rank(demand) }));
  ranked.sort((a, b) => a.rank - b.rank || a.demand.enqueuedAtMs - b.demand.enqueuedAtMs);
  return ranked.map(({ demand }) => demand);
}

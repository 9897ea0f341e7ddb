import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Card, Rack } from "../gpus/rack.ts";
import { EMPTY_RACK } from "../gpus/rack.ts";
import { asId } from "../ids.ts";
import type { DoorName } from "../settings.ts";
import { NO_RESOURCES } from "../task/resources.ts";
import type { AdmitPolicy, AdmitView, Demand } from "./admit.ts";
import { admit } from "./admit.ts";

const NO_SHARE = { cpuMillis: 0, memoryBytes: 0 };
const policy: AdmitPolicy = {
  order: "recency",
  passOverMs: 1_000,
  shares: { http: NO_SHARE, stream: NO_SHARE, indexify: NO_SHARE },
};

function demand(id: string, cpuMillis: number, enqueuedAtMs: number, door: DoorName = "http"): Demand {
  const need = { cpuMillis, memoryBytes: 1, gpuCount: 0, gpuMemoryBytes: 0 };
  return { id: asId<"demand">(id), door, need, keep: undefined, enqueuedAtMs };
}

function view(demands: Demand[], cpuMillis: number, nowMs = 500, held: Partial<AdmitView> = {}): AdmitView {
  const free = { cpuMillis, memoryBytes: 1_000 };
  return {
    demands,
    capacity: { cpuMillis: 10_000, memoryBytes: 10_000 },
    free,
    rack: EMPTY_RACK,
    holdings: [],
    jobs: [],
    heldByDoor: () => NO_RESOURCES,
    nowMs,
    ...held,
  };
}

test("first come, first served", () => {
  const first = demand("a", 100, 0);
  expect(admit(view([first, demand("b", 50, 1)], 100), policy)).toMatchObject({
    type: "grant",
    demand: first,
  });
});

test("a small one passes a big one that has not waited its time, and not one that has", () => {
  const [big, small] = [demand("big", 1000, 0), demand("small", 50, 400)];
  expect(admit(view([big, small], 100, 500), policy)).toMatchObject({ type: "grant", demand: small });
  expect(admit(view([big, small], 100, 1_000), policy)).toMatchObject({ type: "hold", demand: big });
});

test("what makes room for the big one is held, the idle with the busy, and the idle are counted first", () => {
  const holding = (id: string, isIdle: boolean, cpuMillis: number) => ({
    sandboxId: asId<"sandbox">(id),
    held: { cpuMillis, memoryBytes: 1, gpuCount: 0 },
    isIdle,
    canFreeze: true,
    lastUsedMs: 0,
    startCostMs: 1,
  });
  const holdings = [holding("busy-1", false, 500), holding("idle", true, 400), holding("busy-2", false, 500)];
  const admission = admit(view([demand("big", 1_000, 0)], 100, 2_000, { holdings }), policy);
  expect(admission).toMatchObject({ type: "hold", sandboxIds: ["idle", "busy-1"] });
});

test("a door within its share goes before those that live on lent room", () => {
  const shares = { ...policy.shares, stream: { cpuMillis: 500, memoryBytes: 500 } };
  const [lent, sure] = [demand("lent", 100, 0), demand("sure", 100, 400, "stream")];
  expect(admit(view([lent, sure], 100), { ...policy, shares })).toMatchObject({ demand: sure });
  const heldByDoor = () => ({ cpuMillis: 450, memoryBytes: 0, gpuCount: 0 });
  expect(admit(view([lent, sure], 100, 500, { heldByDoor }), { ...policy, shares })).toMatchObject({
    demand: lent,
  });
});

test("whatever waits, a demand that fits is granted unless one that has waited its time is before it", () => {
  const any = fc.array(fc.tuple(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 0, max: 2_000 })), {
    minLength: 1,
    maxLength: 10,
  });
  fc.assert(
    fc.property(any, fc.integer({ min: 0, max: 200 }), (raw, free) => {
      const demands = raw.map(([cpu, at], index) => demand(`d${index}`, cpu, at));
      const admission = admit(view(demands, free, 2_000), policy);
      const isAged = (one: Demand): boolean => 2_000 - one.enqueuedAtMs >= policy.passOverMs;
      if (admission.type === "grant") {
        expect(admission.demand.need.cpuMillis).toBeLessThanOrEqual(free);
        const passed = demands.filter(
          (one) =>
            isAged(one) && one.enqueuedAtMs < admission.demand.enqueuedAtMs && one !== admission.demand,
        );
        expect(passed.every((one) => one.need.cpuMillis <= free)).toBe(passed.length === 0);
      } else if (admission.type === "wait") {
        expect(demands.every((one) => one.need.cpuMillis > free && !isAged(one))).toBe(true);
      } else expect(isAged(admission.demand) && admission.demand.need.cpuMillis > free).toBe(true);
    }),
    { numRuns: 3_000 },
  );
});

/** A card, and who holds the whole of it. */
function rackOf(cards: readonly { use?: Card["use"]; isHealthy?: boolean; holder?: string }[]): Rack {
  const holds = cards.flatMap(({ holder }, at) =>
    holder === undefined ? [] : [[`g${at}`, [{ holder, memoryBytes: 0, isClaim: false }]] as const],
  );
  return {
    cards: cards.map(({ use = "free", isHealthy = true }, at) => ({
      ...{ id: `g${at}`, memoryBytes: 100, freeMemoryBytes: 100 },
      ...{ isHealthy, use },
    })),
    holds: new Map(holds),
    canShare: false,
  };
}

function gpuDemand(id: string, gpuCount: number, enqueuedAtMs = 0): Demand {
  const plain = demand(id, 1, enqueuedAtMs);
  return { ...plain, need: { ...plain.need, gpuCount } };
}

test("M24: a demand whose cards strangers use, or that are broken, is passed by others however long it waits", () => {
  for (const out of [{ use: "busy" as const }, { isHealthy: false }]) {
    const rack = rackOf([out, {}]);
    const demands = [gpuDemand("gpu", 2), demand("cpu", 50, 1)];
    const admission = admit(view(demands, 100, 60_000, { rack }), policy);
    expect(admission).toMatchObject({ type: "grant", demand: { id: "cpu" } });
    expect(admit(view([gpuDemand("gpu", 2)], 100, 60_000, { rack }), policy)).toEqual({ type: "wait" });
  }
});

test("a demand whose cards our own tasks hold is passed by nobody once it has waited its time, and those tasks are held", () => {
  const holding = {
    sandboxId: asId<"sandbox">("s"),
    held: { cpuMillis: 1, memoryBytes: 1, gpuCount: 1 },
    ...{ isIdle: false, canFreeze: true, lastUsedMs: 0, startCostMs: 1 },
  };
  const more = { rack: rackOf([{ use: "busy", holder: "s" }, {}]), holdings: [holding] };
  const demands = [gpuDemand("gpu", 2), demand("cpu", 50, 1)];
  const young = admit(view(demands, 100, 500, more), policy);
  expect(young).toMatchObject({ type: "grant", demand: { id: "cpu" } });
  const old = admit(view(demands, 100, 60_000, more), policy);
  expect(old).toMatchObject({ type: "hold", demand: { id: "gpu" }, sandboxIds: ["s"] });
  const idle = { ...more, holdings: [{ ...holding, isIdle: true }] };
  expect(admit(view(demands, 100, 60_000, idle), policy)).toMatchObject({
    type: "grant",
    demand: { id: "gpu" },
    room: { evict: ["s"], gpuIds: ["g0", "g1"] },
  });
});

test("a card that was just let go of is promised before it reads free", () => {
  const rack = rackOf([{ use: "settling" }]);
  expect(admit(view([gpuDemand("gpu", 1)], 100, 0, { rack }), policy)).toMatchObject({
    type: "grant",
    room: { evict: [], gpuIds: ["g0"] },
  });
});

test("M12: what hangs on the end of a job is passed by calls and by no other job, and holds nobody", () => {
  const job = (id: string, cpuMillis: number, at: number): Demand => ({
    ...demand(id, cpuMillis, at, "stream"),
    isJob: true,
  });
  const running = {
    sandboxId: asId<"sandbox">("job"),
    held: { cpuMillis: 900, memoryBytes: 1, gpuCount: 0 },
    ...{ isIdle: false, canFreeze: false, lastUsedMs: 0, startCostMs: 0 },
  };
  const waits = [job("big", 1_000, 0), job("small", 50, 1), demand("call", 50, 2)];
  const beside = { jobs: [running] };
  expect(admit(view(waits, 100, 500, beside), policy)).toMatchObject({ demand: { id: "small" } });
  expect(admit(view(waits, 100, 60_000, beside), policy)).toMatchObject({
    type: "grant",
    demand: { id: "call" },
  });
  expect(admit(view(waits.slice(0, 2), 100, 60_000, beside), policy)).toEqual({ type: "wait" });
  // Without the job it hangs on something that passes by itself, and nobody goes before it.
  expect(admit(view(waits, 100, 60_000), policy)).toMatchObject({ type: "hold", demand: { id: "big" } });
});

test("M12: whatever waits, jobs together never hold what other doors are sure of", () => {
  const shares = { ...policy.shares, http: { cpuMillis: 300, memoryBytes: 0 } };
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 0, max: 1_000 }),
      (needs, heldMillis) => {
        const demands = needs.map((cpu, at) => ({ ...demand(`d${at}`, cpu, at, "stream"), isJob: true }));
        const heldByDoor = () => ({ cpuMillis: heldMillis, memoryBytes: 0, gpuCount: 0 });
        const beside = { heldByDoor, capacity: { cpuMillis: 1_000, memoryBytes: 1_000 } };
        const admission = admit(view(demands, 1_000 - heldMillis, 60_000, beside), { ...policy, shares });
        if (admission.type !== "grant") return;
        expect(heldMillis + admission.demand.need.cpuMillis).toBeLessThanOrEqual(700);
      },
    ),
    { numRuns: 2_000 },
  );
});

import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type Random, random } from "../../../../test/support/random.ts";
import { settle, VirtualClock } from "../../../../test/support/virtual-clock.ts";
import type { SandboxEnd } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import {
  ContainerDescriptionSchema,
  ContainerStatus,
  SandboxMetadataSchema,
} from "../../../gen/executor_api_pb.js";
import { pause } from "../../../std/index.ts";
import { silentLog } from "../../../telemetry/silent-log.ts";
import type { SandboxOrder } from "../commands/orders.ts";
import { SANDBOX_TIMES, type SandboxProcess } from "./sandbox.ts";
import { SandboxDesk } from "./sandbox-desk.ts";

const SEEDS = Array.from({ length: 300 }, (_, index) => index + 1);
const STEPS = 40;
const IDS = ["a", "b", "c"] as const;
const LONG_MS = 3_600_000;

/** What the seeds met, over all of them: a test of orders that never come shows nothing. */
const met = new Set<string>();

/** Containers that take a while to come and to go, some of which never come and some of which end by themselves. */
class Containers {
  /** Those that hold room now: from the wish for one until nothing of it is left. */
  readonly held: string[] = [];
  readonly violations: string[] = [];
  readonly #crashes = new Map<string, () => void>();
  readonly #clock: VirtualClock;
  readonly #chance: Random;

  constructor(clock: VirtualClock, chance: Random) {
    this.#clock = clock;
    this.#chance = chance;
  }

  async launch({ id }: SandboxOrder, signal: AbortSignal): Promise<SandboxProcess> {
    if (this.held.includes(id)) this.violations.push(`two of ${id} at once`);
    this.held.push(id);
    try {
      await pause(this.#clock, this.#chance.int(500), signal);
      // An engine may have made it before it hears that nobody wants it any more.
      if (!this.#chance.isOneIn(4)) signal.throwIfAborted();
      if (this.#chance.isOneIn(8))
        throw new ExecutorError("SANDBOX_START_FAILED", { image: "i", reason: "the engine says no" });
    } catch (error) {
      this.#release(id);
      throw error;
    }
    return this.#running(id);
  }

  crash(id: string): void {
    this.#crashes.get(id)?.();
  }

  #running(id: string): SandboxProcess {
    let tell: (end: SandboxEnd) => void = () => undefined;
    const ended = new Promise<SandboxEnd>((resolve) => {
      tell = resolve;
    });
    this.#crashes.set(id, () => {
      met.add("crashed");
      tell({ type: "exited", exitCode: 1 });
    });
    let over: Promise<void> | undefined;
    const end = async (graceMs: number): Promise<void> => {
      await pause(this.#clock, this.#chance.int(graceMs + 100), new AbortController().signal);
      tell({ type: "signalled", signal: "SIGKILL" });
      this.#crashes.delete(id);
      this.#release(id);
    };
    return {
      ended,
      endpointOf: (port) => ({ host: "127.0.0.1", port }),
      kill: (graceMs) => {
        over ??= end(graceMs);
        return over;
      },
    };
  }

  #release(id: string): void {
    this.held.splice(this.held.indexOf(id), 1);
  }
}

const metadataOf = (sandboxId: string | undefined, timeoutSecs: number) =>
  create(SandboxMetadataSchema, {
    image: "i",
    ...(sandboxId === undefined ? {} : { sandboxId }),
    ...(timeoutSecs === 0 ? {} : { timeoutSecs: BigInt(timeoutSecs) }),
  });

interface World {
  readonly clock: VirtualClock;
  readonly chance: Random;
  readonly containers: Containers;
  readonly desk: SandboxDesk;
  readonly wanted: Set<string>;
  /** By the id of their container: the answers, in their order. */
  readonly told: Map<string, string[]>;
}

function openWorld(seed: number): World {
  const clock = new VirtualClock();
  const chance = random(seed);
  const containers = new Containers(clock, chance);
  const told = new Map(IDS.map((id): [string, string[]] => [id, []]));
  const desk = new SandboxDesk({
    ...{ clock, log: silentLog, times: SANDBOX_TIMES },
    launch: (order, signal) => containers.launch(order, signal),
    respond: ({ case: kind, value }) => {
      if (kind === "containerStarted") told.get(value.containerId ?? "")?.push("started");
      if (kind === "containerTerminated") told.get(value.containerId ?? "")?.push("terminated");
    },
  });
  return { clock, chance, containers, desk, wanted: new Set(), told };
}

async function step({ clock, chance, containers, desk, wanted }: World): Promise<void> {
  const id = chance.pick(IDS);
  const isOfPool = chance.isOneIn(2);
  const metadata = metadataOf(isOfPool ? undefined : `user-${id}`, chance.pick([0, 1, 5]));
  switch (chance.int(6)) {
    case 0:
    case 1: {
      wanted.add(id);
      const description = create(ContainerDescriptionSchema, { id, sandboxMetadata: metadata });
      desk.take({ type: "add-sandbox", sandbox: { id, description } });
      break;
    }
    case 2:
      wanted.delete(id);
      desk.take({ type: "remove", containerId: id });
      break;
    case 3:
      desk.take({ type: "update", containerId: id, metadata });
      break;
    case 4:
      containers.crash(id);
      break;
    default:
      await clock.advance(chance.pick([50, 400, 3_000, 12_000]));
  }
  if (chance.isOneIn(3)) await settle();
}

/** What is held is what runs, what runs is wanted and reached by its user alone, and what has ended was told. */
function check({ desk, containers, wanted, told }: World, seed: number): void {
  const states = new Map(desk.states().map(({ description, status }) => [description?.id ?? "", status]));
  expect([...states.keys()].sort(), `seed ${seed}`).toEqual([...wanted].sort());
  const running = [...states].filter(([, status]) => status === ContainerStatus.RUNNING).map(([id]) => id);
  expect([...containers.held].sort(), `seed ${seed}`).toEqual(running.sort());
  for (const id of IDS) {
    const sandboxId = desk.sandboxes.find(({ order }) => order.id === id)?.order.description.sandboxMetadata
      ?.sandboxId;
    const isReached = running.includes(id) && sandboxId !== undefined;
    expect(desk.route(`user-${id}`, 80).type, `seed ${seed}`).toBe(isReached ? "open" : "unknown");
    if (isReached) met.add("reached");
    if (running.includes(id) && sandboxId === undefined) met.add("warm");
    if (states.get(id) === ContainerStatus.TERMINATED) met.add("ended");
    if (states.has(id))
      expect(told.get(id)?.at(-1), `seed ${seed}`).toBe(running.includes(id) ? "started" : "terminated");
  }
}

test("X7: sandboxes in any order of adding, giving, removing, time and death: one container for each that runs, none for any other", async () => {
  for (const seed of SEEDS) {
    const world = openWorld(seed);
    for (let count = 0; count < STEPS; count += 1) await step(world);
    await world.clock.advance(LONG_MS);
    check(world, seed);
    for (const id of world.wanted) world.desk.take({ type: "remove", containerId: id });
    await world.clock.advance(LONG_MS);
    expect(world.desk.states(), `seed ${seed}`).toEqual([]);
    expect(world.containers.held, `seed ${seed}`).toEqual([]);
    expect(world.containers.violations, `seed ${seed}`).toEqual([]);
    expect(world.clock.pendingTimers, `seed ${seed}`).toBe(0);
  }
  expect([...met].sort()).toEqual(["crashed", "ended", "reached", "warm"]);
});

test("the door's end in the middle of anything leaves no container, and tells nothing", async () => {
  for (const seed of SEEDS) {
    const world = openWorld(seed);
    for (let count = 0; count < STEPS / 2; count += 1) await step(world);
    const before = JSON.stringify([...world.told]);
    const ending = world.desk.end();
    await world.clock.advance(LONG_MS);
    await ending;
    expect(world.containers.held, `seed ${seed}`).toEqual([]);
    expect(JSON.stringify([...world.told]), `seed ${seed}`).toBe(before);
    expect(world.clock.pendingTimers, `seed ${seed}`).toBe(0);
  }
});

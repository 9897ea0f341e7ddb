import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ExecutorError } from "../../../core/index.ts";
import type { Engine } from "../engine/engine.ts";
import { EngineError } from "../engine/engine-error.ts";
import type { MakerOptions } from "./make-network.ts";
import { NetworkMaker } from "./make-network.ts";
import type { TaskNetwork } from "./network-sandbox.ts";
import { Subnets } from "./subnets.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const OWNER = { ownerId: "owner", instanceId: "now" };

/** An engine with the networks that a test says, and who is in each. */
class FakeEngine {
  readonly members = new Map<string, Set<string>>();
  /** What it answers about a container that is no member. */
  refusal: Error = new EngineError("network disconnect", 500, "container c is not connected to n", undefined);
  /** How often it refuses a member's leave before it lets it go. */
  stumbles = 0;

  readonly engine = {
    isLocal: false,
    networks: {
      disconnect: async (id: string, containerId: string) => {
        const members = this.#membersOf("network disconnect", id);
        if (!members.has(containerId)) throw this.refusal;
        this.stumbles -= 1;
        if (this.stumbles >= 0) throw new EngineError("network disconnect", 500, "try again", undefined);
        members.delete(containerId);
      },
      remove: async (id: string) => {
        if (this.#membersOf("network remove", id).size > 0)
          throw new EngineError("network remove", 403, `network ${id} has active endpoints`, undefined);
        this.members.delete(id);
      },
    },
  } as unknown as Engine;

  #membersOf(verb: string, id: string): Set<string> {
    const members = this.members.get(id);
    if (members === undefined) throw new EngineError(verb, 404, `network ${id} not found`, undefined);
    return members;
  }
}

function open() {
  const fake = new FakeEngine();
  const subnets = new Subnets({ base: 0x0a000000, bits: 28 }, 0);
  const options = {
    owner: OWNER,
    reach: { type: "member", containerId: "daemon" },
    subnets: new Map([["internal", subnets]]),
  } as unknown as MakerOptions;
  const network: TaskNetwork = { id: "n", name: "n", subnet: subnets.take(), policy: "internal" };
  fake.members.set("n", new Set(["daemon"]));
  return { fake, network, maker: new NetworkMaker(fake.engine, options) };
}

test.each([500, 403, 409])(
  "a network that the daemon's container has left is removed, though the engine answers %i to a second leave",
  async (status) => {
    const { fake, maker, network } = open();
    fake.refusal = new EngineError("network disconnect", status, "container c is not connected", undefined);
    fake.members.get("n")?.clear();
    await maker.removeNetwork(network);
    expect([...fake.members]).toEqual([]);
    await maker.removeNetwork(network);
  },
);

test("a member that the engine does not let go at once is asked to leave again", async () => {
  const { fake, maker, network } = open();
  fake.stumbles = 2;
  const removed = maker.removeNetwork(network);
  await vi.runAllTimersAsync();
  await removed;
  expect([...fake.members]).toEqual([]);
});

test("no engine at all is told as such", async () => {
  const { fake, maker, network } = open();
  fake.refusal = new ExecutorError("ENGINE_UNAVAILABLE", { reason: "socket hang up" });
  fake.members.get("n")?.clear();
  const told = expect(maker.removeNetwork(network)).rejects.toMatchObject({ code: "ENGINE_UNAVAILABLE" });
  await vi.runAllTimersAsync();
  await told;
  expect(fake.members.has("n")).toBe(true);
});

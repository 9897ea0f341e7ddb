import { expect, test } from "vitest";
import { poll } from "../../../../test/support/poll.ts";
import type { NetworkPolicy } from "../../../core/index.ts";
import { NotAsked } from "../engine/engine-error.ts";
import type { NetworkMaker } from "./make-network.ts";
import { NetworkPool } from "./network-pool.ts";
import type { NetworkSandbox, TaskNetwork } from "./network-sandbox.ts";
import { RangeUsedUp, Subnets } from "./subnets.ts";

/** Makes networks out of nothing and remembers what there is. */
class FakeMaker
  implements
    Pick<NetworkMaker, "defaultPolicy" | "makeNetwork" | "makeSandbox" | "removeNetwork" | "removeSandbox">
{
  readonly defaultPolicy = "internal";
  readonly there = new Set<string>();
  /** No engine answers. */
  isAway = false;
  /** The range has no room. */
  isFull = false;
  readonly #subnets = new Subnets({ base: 0x0a000000, bits: 16 }, 0);
  #count = 0;

  makeNetwork(policy: NetworkPolicy): Promise<TaskNetwork> {
    if (this.isFull) return Promise.reject(new RangeUsedUp({ base: 0x0a000000, bits: 16 }));
    const id = `n${(this.#count += 1)}`;
    this.there.add(id);
    return Promise.resolve({ id, name: id, subnet: this.#subnets.take(), policy });
  }

  async makeSandbox(): Promise<NetworkSandbox> {
    const network = await this.makeNetwork("internal");
    const endpoint = { host: network.subnet.taskAddress, port: 8080 };
    return { containerId: `c-${network.id}`, name: network.name, network, endpoint, usedBy: undefined };
  }

  removeNetwork({ id }: TaskNetwork): Promise<void> {
    if (this.isAway) return Promise.reject(new NotAsked("network remove", "no engine"));
    this.there.delete(id);
    return Promise.resolve();
  }

  removeSandbox({ network }: Pick<NetworkSandbox, "network">): Promise<void> {
    return this.removeNetwork(network);
  }
}

function open(ahead: number): { readonly maker: FakeMaker; readonly pool: NetworkPool } {
  const maker = new FakeMaker();
  const pool = new NetworkPool(maker as unknown as NetworkMaker, {
    ahead,
    log: undefined,
    inBackground: (work) => void work().catch(() => undefined),
    nowMs: () => performance.now(),
  });
  pool.open();
  return { maker, pool };
}

const untilReady = (pool: NetworkPool, count: number): Promise<void> =>
  poll("the pool is filled", () => pool.ready === count || String(pool.ready));

test("what is fresh goes to anybody, what was used only to its own image", async () => {
  const { maker, pool } = open(2);
  await untilReady(pool, 2);
  const still = pool.holdStill();
  const first = pool.take("a", "internal");
  if (first === undefined) throw new Error("nothing was ready");
  pool.giveBack(first, "a");
  expect(pool.take("b", "internal")).toMatchObject({ type: "sandbox", sandbox: { usedBy: undefined } });
  expect(pool.take("a", "internal")).toMatchObject({ type: "sandbox", sandbox: { usedBy: "a" } });
  still();
  await pool[Symbol.asyncDispose]();
  expect(maker.there.size).toBe(2); // the two that were taken are their takers' own
});

test("nothing is made while a start is under way, and the pool fills again afterwards", async () => {
  const { maker, pool } = open(3);
  await untilReady(pool, 3);
  await poll("bare networks are there too", () => maker.there.size === 7 || String(maker.there.size));
  const still = pool.holdStill();
  for (const _ of [1, 2, 3]) expect(pool.take("a", "internal")).toMatchObject({ type: "sandbox" });
  expect(pool.take("a", "internal")).toMatchObject({ type: "network" });
  expect(maker.there.size).toBe(7);
  still();
  still();
  await untilReady(pool, 3);
  await pool[Symbol.asyncDispose]();
});

test("what is given back while starts never pause does not pile up without end", async () => {
  const { maker, pool } = open(0);
  pool.holdStill();
  const taken = await Promise.all(Array.from({ length: 100 }, () => maker.makeSandbox()));
  for (const sandbox of taken) pool.giveBack({ type: "sandbox", sandbox }, "a");
  await poll("most are removed", () => maker.there.size <= 40 || String(maker.there.size));
  await pool[Symbol.asyncDispose]();
  expect(maker.there.size).toBe(0);
});

test("a pool that is closed keeps nothing", async () => {
  const { maker, pool } = open(4);
  await untilReady(pool, 4);
  await pool[Symbol.asyncDispose]();
  expect(maker.there.size).toBe(0);
});

test("what comes back after the pool has closed is removed all the same", async () => {
  const { maker, pool } = open(2);
  await untilReady(pool, 2);
  const taken = pool.take("a", "internal");
  if (taken === undefined) throw new Error("nothing was ready");
  await pool[Symbol.asyncDispose]();
  expect(maker.there.size).toBe(1);
  pool.discard(taken);
  await poll("it is gone", () => maker.there.size === 0 || String(maker.there.size));
});

test("removals that meet no engine are made when it is back, also those that were to give way", async () => {
  const { maker, pool } = open(0);
  await poll("bare networks are there", () => maker.there.size === 4 || String(maker.there.size));
  const still = pool.holdStill();
  const taken = await Promise.all([maker.makeSandbox(), maker.makeSandbox(), maker.makeSandbox()]);
  for (const sandbox of taken) pool.discard({ type: "sandbox", sandbox });
  maker.isAway = true;
  maker.isFull = true;
  await expect(pool.make("egress")).rejects.toThrow("in use");
  expect(maker.there.size).toBe(7);
  maker.isAway = false;
  still();
  await poll("what was in the way is gone", () => maker.there.size === 4 || String(maker.there.size));
  await pool[Symbol.asyncDispose]();
});

test("a network of another policy is no use to a task, and a few of each are kept", async () => {
  const { maker, pool } = open(0);
  await poll("bare networks are there", () => maker.there.size === 4 || String(maker.there.size));
  const still = pool.holdStill();
  expect(pool.take("a", "egress")).toBeUndefined();
  for (let count = 0; count < 5; count += 1) {
    pool.giveBack({ type: "network", network: await maker.makeNetwork("egress") }, "a");
  }
  const taken = Array.from({ length: 5 }, () => pool.take("b", "egress"));
  expect(taken.map((one) => one?.type === "network" && one.network.policy)).toEqual([
    ...["egress", "egress", "egress", "egress"],
    false,
  ]);
  expect(pool.take("a", "internal")).toMatchObject({ network: { policy: "internal" } });
  still();
  await pool[Symbol.asyncDispose]();
});

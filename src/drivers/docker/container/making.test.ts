import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ExecutorError } from "../../../core/index.ts";
import type { CallOptions } from "../engine/caller.ts";
import type { Engine } from "../engine/engine.ts";
import { EngineError, NotAsked } from "../engine/engine-error.ts";
import type { ContainerBody } from "./container-body.ts";
import { Making } from "./making.ts";

const OPEN = new AbortController().signal;
const BODY = {} as ContainerBody;
const LOST = new ExecutorError("ENGINE_UNAVAILABLE", { reason: "socket hang up" });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** An engine whose creates end as the test says, with what there is by name. */
class FakeEngine {
  readonly there = new Set<string>();
  readonly removed: string[] = [];
  looks = 0;
  created: Promise<string> = Promise.resolve("id");
  unwanted: AbortSignal | undefined;

  readonly engine = {
    containers: {
      create: (_name: string, _body: ContainerBody, { unwanted }: CallOptions) => {
        this.unwanted = unwanted;
        return this.created;
      },
      start: () => Promise.resolve(),
      inspect: (name: string) => {
        this.looks += 1;
        return this.there.has(name)
          ? Promise.resolve({})
          : Promise.reject(new EngineError("inspect", 404, "no such container", undefined));
      },
      remove: (idOrName: string) => {
        this.removed.push(idOrName);
        this.there.delete(idOrName);
        return Promise.resolve();
      },
    },
  } as unknown as Engine;
}

async function removed(fake: FakeEngine, passMs: number): Promise<void> {
  const making = new Making(fake.engine, "ours", OPEN);
  making.create(BODY).catch(() => undefined);
  const over = making.remove();
  await vi.advanceTimersByTimeAsync(passMs);
  await over;
}

test("what was made is removed by its id, and nobody looks for more", async () => {
  const fake = new FakeEngine();
  await removed(fake, 0);
  expect([fake.removed, fake.looks]).toEqual([["id"], 0]);
});

test.each<readonly [string, Error]>([
  ["the engine has refused", new EngineError("create", 400, "no command specified", undefined)],
  ["was never asked for", new NotAsked("create", "too many calls wait for the engine")],
  [
    "met no engine",
    new ExecutorError(
      "ENGINE_UNAVAILABLE",
      {},
      { cause: Object.assign(new Error("no"), { code: "ECONNREFUSED" }) },
    ),
  ],
])("what %s is not looked for", async (_, failure) => {
  const fake = new FakeEngine();
  fake.created = Promise.reject(failure);
  await removed(fake, 0);
  expect([fake.removed, fake.looks]).toEqual([[], 0]);
});

test("what may still come of a lost answer is removed when it comes", async () => {
  const fake = new FakeEngine();
  fake.created = Promise.reject(LOST);
  setTimeout(() => fake.there.add("ours"), 10_000);
  await removed(fake, 26_000);
  expect(fake.removed).toEqual(["ours"]);
});

test("a create that is under way is not asked for again once it is to be removed, and is found by its name", async () => {
  const fake = new FakeEngine();
  fake.created = new Promise(() => undefined);
  fake.there.add("ours");
  await removed(fake, 2001);
  expect(fake.unwanted?.aborted).toBe(true);
  expect(fake.removed).toEqual(["ours"]);
});

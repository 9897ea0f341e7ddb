import { PassThrough } from "node:stream";
import { expect, test, vi } from "vitest";
import type { SandboxEnd } from "../../../core/index.ts";
import type { Engine } from "../engine/engine.ts";
import { Deaths } from "./deaths.ts";

const ID = "a1".repeat(32);
const LIMIT = 1000;

/** The end of a container of which an engine tells these events, and whether the kernel was asked. */
async function endAfter(
  events: readonly object[],
  kernelSays: boolean,
): Promise<{ end: SandboxEnd; asked: number }> {
  const stream = new PassThrough();
  const facts = { id: ID, exitCode: 137, wasOutOfMemory: false, status: "exited", isRunning: false };
  const engine = {
    openEvents: () => Promise.resolve(stream),
    containers: {
      list: () => Promise.resolve([{ id: ID, state: "running", labels: {}, name: "x" }]),
      inspect: () => Promise.resolve(facts),
    },
  } as unknown as Engine;
  const askKernel = vi.fn(() => Promise.resolve(kernelSays));
  const deaths = new Deaths(engine, "owner", undefined, () => undefined, askKernel);
  const { ended } = deaths.watch(ID, LIMIT);
  const over = new AbortController();
  const following = deaths.follow(over.signal).catch(() => undefined);
  for (const event of events) stream.write(`${JSON.stringify(event)}\n`);
  const end = await ended;
  over.abort();
  await following;
  return { end, asked: askKernel.mock.calls.length };
}

const actor = { ID, Attributes: { exitCode: "137" } };
const DIED = { Action: "die", Actor: actor };
const TOLD = { Action: "oom", Actor: actor };

test("the kernel is asked about a failing end of which the engine says nothing", async () => {
  expect(await endAfter([DIED], true)).toEqual({ end: { type: "memory", limitBytes: LIMIT }, asked: 1 });
  expect(await endAfter([DIED], false)).toEqual({ end: { type: "signalled", signal: "SIGKILL" }, asked: 1 });
});

test("what the engine says is enough, before the end or a moment after it", async () => {
  for (const events of [
    [TOLD, DIED],
    [DIED, TOLD],
  ])
    expect(await endAfter(events, false)).toEqual({ end: { type: "memory", limitBytes: LIMIT }, asked: 0 });
});

test("a success is none of the kernel's matter", async () => {
  const success = { Action: "die", Actor: { ID, Attributes: { exitCode: "0" } } };
  expect(await endAfter([success], true)).toEqual({ end: { type: "exited", exitCode: 0 }, asked: 0 });
});

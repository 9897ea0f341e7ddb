import { expect, test } from "vitest";
import { HearthClient, HearthError } from "../../src/client/index.ts";
import { ExecutorError, Secret } from "../../src/core/index.ts";
import { fakeSandbox } from "../support/fake-executor.ts";
import type { TestDoor } from "../support/open-test-door.ts";
import { openTestDoor } from "../support/open-test-door.ts";

function clientOf(door: TestDoor, token?: string): HearthClient {
  return new HearthClient({ baseUrl: door.url, token });
}

test("the client calls a task, whole and streamed, and a failing task is an answer", async () => {
  await using door = await openTestDoor();
  const client = clientOf(door);
  const answer = await client.call({
    image: "a:1",
    input: "hällo",
    contentType: "text/plain",
    cpu: 0.5,
    mem: 64,
  });
  expect(answer).toMatchObject({
    status: 200,
    isSuccess: true,
    text: "hällo",
    start: "warm",
    sandboxId: "s1",
  });
  expect(answer.contentType).toBe("text/plain");
  door.executor.script = (call) => call.answer("no", 500);
  const failed = await client.callStream({ image: "a:1" });
  expect([failed.isSuccess, await new Response(failed.body).text()]).toEqual([false, "no"]);
});

test("an error of the daemon is a typed error with its code and facts", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => call.fail(new ExecutorError("IMAGE_NOT_FOUND", { image: "a:1" }));
  const error: unknown = await clientOf(door)
    .call({ image: "a:1" })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HearthError);
  expect(error).toMatchObject({
    code: "IMAGE_NOT_FOUND",
    status: 404,
    retry: "never",
    facts: { image: "a:1" },
  });
  door.executor.state = "paused";
  await expect(clientOf(door).call({ image: "a:1" })).rejects.toMatchObject({
    code: "PAUSED",
    retryAfterMs: 10_000,
  });
});

test("no daemon, and an answer that is not Hearth's, have codes of their own", async () => {
  const door = await openTestDoor();
  const client = clientOf(door);
  await door[Symbol.asyncDispose]();
  await expect(client.host()).rejects.toMatchObject({ code: "UNREACHABLE", retry: "later" });
  const strange = new HearthClient({
    baseUrl: "http://x",
    fetch: () => Promise.resolve(new Response("<html>", { status: 502 })),
  });
  await expect(strange.host()).rejects.toMatchObject({ code: "UNEXPECTED", status: 502 });
});

test("a signal ends any method with its own reason", async () => {
  await using door = await openTestDoor();
  door.executor.script = () => undefined;
  const gone = new AbortController();
  const call = clientOf(door).call({ image: "a:1", signal: gone.signal });
  await expect.poll(() => door.executor.calls.length).toBe(1);
  gone.abort(new Error("enough"));
  await expect(call).rejects.toThrow("enough");
  await expect(clientOf(door).host({ signal: gone.signal })).rejects.toThrow("enough");
});

test("a run is started, followed to its end and its answer fetched", async () => {
  await using door = await openTestDoor();
  const client = clientOf(door);
  door.executor.script = () => undefined;
  const run = await client.callAsync({ image: "a:1", input: "x" });
  const states: string[] = [];
  for await (const { state } of client.followRun(run.id)) {
    states.push(state);
    if (states.length === 1) door.executor.calls[0]?.answer("out");
  }
  expect([states.at(0), states.at(-1)]).toEqual(["running", "answered"]);
  expect((await client.answer(run.id)).text).toBe("out");
  expect((await client.run(run.id)).state).toBe("answered");
  expect((await client.runs({ limit: 1 })).runs).toHaveLength(1);
  expect((await client.cancelRun(run.id)).state).toBe("answered");
});

test("sandboxes, logs, what waits and tasks come typed", async () => {
  await using door = await openTestDoor();
  const client = clientOf(door);
  door.executor.list = [fakeSandbox("a")];
  expect((await client.sandboxes()).sandboxes.map(({ id }) => id)).toEqual(["a"]);
  expect((await client.sandbox("a")).usage?.cpuMs).toBe(10);
  expect(await client.logs("a", { tailBytes: 100 })).toEqual({
    ...{ text: "a line\n", isTruncated: true },
    ...{ sandboxId: "a", hasEnded: false },
  });
  for await (const chunk of client.followLogs("a")) {
    expect(chunk).toEqual({ stream: "stdout", text: "first\n" });
    break;
  }
  await expect.poll(() => door.executor.done).toContain("log closed");
  await client.evict("a", { force: true });
  await expect(client.evict("a")).rejects.toMatchObject({ code: "SANDBOX_NOT_FOUND" });
  expect(await client.waiting()).toEqual({ waiting: [] });
  expect(await client.tasks()).toEqual({ tasks: [] });
});

test("a prefetch reports its progress and its failure", async () => {
  await using door = await openTestDoor();
  door.executor.prefetching = async ({ onProgress }) => {
    onProgress?.({ image: "a:1", doneBytes: 1, totalBytes: 2 });
    await new Promise((resolve) => setImmediate(resolve));
    return { digest: "sha256:1", wasPulled: true, retired: 0 };
  };
  const seen: number[] = [];
  const done = await clientOf(door).prefetch("a:1", { onProgress: ({ doneBytes }) => seen.push(doneBytes) });
  expect([done.digest, done.wasPulled]).toEqual(["sha256:1", true]);
  expect(seen).toEqual([1]);
  door.executor.prefetching = () => Promise.reject(new ExecutorError("IMAGE_PULL_FAILED"));
  await expect(clientOf(door).prefetch("a:1")).rejects.toMatchObject({ code: "IMAGE_PULL_FAILED" });
});

test("settings, pause, unpause, drain, health and the description are there, with a token", async () => {
  const token = new Secret("t");
  await using door = await openTestDoor({
    tokens: [{ name: "ops", token, scopes: ["run", "read", "control"] }],
  });
  const client = clientOf(door, "t");
  expect((await client.config()).settings.map(({ key }) => key)).toContain("cpu");
  expect((await client.setConfig({ cpu: 2 })).notes).toEqual([]);
  await expect(client.setConfig({ cpu: 65 })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    facts: { faults: ["cpu: expected at most 64"] },
  });
  expect((await client.pause()).state).toBe("paused");
  expect((await client.unpause()).state).toBe("running");
  expect((await client.stats()).total_cpu).toBe(8);
  await client.health();
  expect(await client.openapi()).toHaveProperty("openapi", "3.1.0");
  await expect(clientOf(door).host()).rejects.toMatchObject({ code: "TOKEN_REQUIRED", status: 401 });
  expect((await client.drain()).state).toBe("draining");
  await expect.poll(() => door.stops).toBe(1);
});

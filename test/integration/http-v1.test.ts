import { expect, test } from "vitest";
import type { Route } from "../../src/contract/v1/route.ts";
import { ROUTES } from "../../src/contract/v1/routes.ts";
import { asId, ExecutorError, Secret } from "../../src/core/index.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { fakeSandbox, fakeSession } from "../support/fake-executor.ts";
import { fakeJob } from "../support/fake-jobs.ts";
import { fakeQueue } from "../support/fake-queue.ts";
import { MemoryReceipts } from "../support/memory-receipts.ts";
import { openTestDoor } from "../support/open-test-door.ts";

test("a raw call passes input, type, status and answer through as they are", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => {
    call.input().then(
      (input) => call.answer(input, 418, "image/png"),
      (error: unknown) => call.fail(ExecutorError.from(error)),
    );
  };
  const bytes = Buffer.from([0, 255, 10, 13]);
  const answer = await fetch(`${door.url}/v1/calls?image=a/b:1&cpu=0.5&mem=256`, {
    method: "POST",
    headers: { "content-type": "application/x-thing" },
    body: bytes,
  });
  expect(answer.status).toBe(418);
  expect(answer.headers.get("content-type")).toBe("image/png");
  expect(answer.headers.get("hearth-outcome")).toBe("failure");
  expect(answer.headers.get("hearth-start")).toBe("warm");
  expect(answer.headers.get("hearth-run-id")).toMatch(/^[0-9a-z]{26}$/);
  expect(Buffer.from(await answer.arrayBuffer())).toEqual(bytes);
  expect(door.executor.calls[0]?.task).toEqual({
    image: "a/b:1",
    isolation: "default",
    sgx: false,
    network: "default",
    resources: { cpuMillis: 500, memoryBytes: 268_435_456, gpuCount: 0, gpuMemoryBytes: 0 },
  });
  expect(door.executor.calls[0]?.request.contentType).toBe("application/x-thing");
});

test("an error of ours is a problem with its code, status, retry and request id", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => call.fail(new ExecutorError("QUEUE_FULL", { retryAfterMs: 2500 }));
  const answer = await fetch(`${door.url}/v1/calls?image=a`, { method: "POST", body: "{}" });
  expect(answer.status).toBe(503);
  expect(answer.headers.get("content-type")).toMatch("application/problem+json");
  expect(answer.headers.get("retry-after")).toBe("3");
  expect(answer.headers.has("hearth-outcome")).toBe(false);
  expect(await answer.json()).toMatchObject({
    code: "QUEUE_FULL",
    status: 503,
    retry: "later",
    fault: "host",
    requestId: answer.headers.get("hearth-run-id"),
  });
});

test("an error that is not ours is a 500 without its text", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => call.fail(new Error("secret stack"));
  const answer = await fetch(`${door.url}/v1/calls?image=a`, { method: "POST" });
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toContain("secret");
});

test.each([
  ["no image", "", "image"],
  ["two decimals of cpu", "?image=a&cpu=0.55", "cpu"],
  ["a negative cpu", "?image=a&cpu=-1", "cpu"],
  ["half a megabyte", "?image=a&mem=1.5", "mem"],
  ["an unknown isolation", "?image=a&isolation=tin-foil", "isolation"],
  ["a path with a line break", "?image=a&path=/x%0d%0ay", "path"],
  ["an image twice", "?image=a&image=b", "image"],
  ["an image with a space", "?image=a%20b", "image"],
])("a call with %s is refused and names the field", async (_, query, field) => {
  await using door = await openTestDoor();
  const answer = await fetch(`${door.url}/v1/calls${query}`, { method: "POST" });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ code: "INPUT_INVALID", facts: { field } });
  expect(door.executor.calls).toEqual([]);
});

test("an answer is streamed as it comes, and so is a long input", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => {
    call.place();
    call.head(200, { "content-type": "text/event-stream" });
    call.data("data: 1\n\n");
  };
  const answer = await fetch(`${door.url}/v1/calls?image=a`, {
    method: "POST",
    body: Buffer.alloc(300_000, "x"),
  });
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = answer.body?.getReader();
  expect(new TextDecoder().decode((await reader?.read())?.value)).toBe("data: 1\n\n");
  const call = door.executor.calls[0];
  expect(call?.request.body instanceof Uint8Array).toBe(false);
  expect((await call?.input())?.length).toBe(300_000);
  call?.data("data: 2\n\n");
  expect(new TextDecoder().decode((await reader?.read())?.value)).toBe("data: 2\n\n");
  call?.end();
  expect((await reader?.read())?.done).toBe(true);
});

test("only headers that describe the answer's body come from the task, and a page of its making is contained", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => {
    call.place();
    call.head(200, {
      "content-type": "text/html",
      etag: '"1"',
      "set-cookie": "a=b",
      location: "http://evil/",
      "access-control-allow-origin": "*",
      "content-security-policy": "none",
      "hearth-run-id": "forged",
      "x-more": "1",
    });
    call.end();
  };
  const { headers } = await fetch(`${door.url}/v1/calls?image=a`, { method: "POST" });
  expect(headers.get("etag")).toBe('"1"');
  for (const name of ["set-cookie", "location", "access-control-allow-origin", "x-more"]) {
    expect(headers.has(name), name).toBe(false);
  }
  expect(headers.get("hearth-run-id")).not.toBe("forged");
  expect(headers.get("content-security-policy")).toBe("sandbox");
});

test("an answer that breaks off is broken off for the caller too", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => {
    call.place();
    call.head(200, { "content-type": "text/plain" });
    call.data("half");
    setImmediate(() => call.fail(new ExecutorError("TASK_EXITED")));
  };
  const answer = await fetch(`${door.url}/v1/calls?image=a`, { method: "POST" });
  await expect(answer.text()).rejects.toThrow();
});

test("a caller that goes away cancels its call", async () => {
  await using door = await openTestDoor();
  door.executor.script = () => undefined;
  const gone = new AbortController();
  const answer = fetch(`${door.url}/v1/calls?image=a`, { method: "POST", signal: gone.signal });
  await expect.poll(() => door.executor.calls.length).toBe(1);
  gone.abort();
  await expect(answer).rejects.toThrow();
  await expect.poll(() => door.executor.calls[0]?.isCancelled).toBe(true);
});

test("sandboxes are listed, shown, evicted, and busy ones only by force", async () => {
  await using door = await openTestDoor();
  door.executor.list = [fakeSandbox("a"), fakeSandbox("b", { slotsUsed: 1 })];
  const list = await (await fetch(`${door.url}/v1/sandboxes`)).json();
  expect(list).toMatchObject({ sandboxes: [{ id: "a", image: "echo:1", tier: "hot" }, { id: "b" }] });
  expect(await (await fetch(`${door.url}/v1/sandboxes/a`)).json()).toMatchObject({
    id: "a",
    usage: { cpuMs: 10 },
  });
  expect((await fetch(`${door.url}/v1/sandboxes/a`, { method: "DELETE" })).status).toBe(204);
  expect((await fetch(`${door.url}/v1/sandboxes/a`, { method: "DELETE" })).status).toBe(404);
  const busy = await fetch(`${door.url}/v1/sandboxes/b`, { method: "DELETE" });
  expect([busy.status, ((await busy.json()) as { code: string }).code]).toEqual([409, "SANDBOX_BUSY"]);
  expect((await fetch(`${door.url}/v1/sandboxes/b?force=true`, { method: "DELETE" })).status).toBe(204);
  expect(door.log.filter(({ event }) => event === "control.used")).toHaveLength(4);
});

test("logs come as text, as JSON, and followed as server-sent events until the client leaves", async () => {
  await using door = await openTestDoor();
  door.executor.list = [fakeSandbox("a")];
  const url = `${door.url}/v1/sandboxes/a/logs`;
  const plain = await fetch(url);
  expect(await plain.text()).toBe("a line\n");
  const heads = ["hearth-log-truncated", "hearth-log-ended", "hearth-sandbox-id"];
  expect(heads.map((name) => plain.headers.get(name))).toEqual(["true", "false", "a"]);
  expect(await (await fetch(url, { headers: { accept: "application/json" } })).json()).toEqual({
    ...{ text: "a line\n", isTruncated: true },
    ...{ sandboxId: "a", hasEnded: false },
  });
  const gone = new AbortController();
  const live = await fetch(`${url}?follow=true`, {
    headers: { accept: "text/event-stream" },
    signal: gone.signal,
  });
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = live.body?.getReader();
  const first = await reader?.read();
  expect(new TextDecoder().decode(first?.value)).toBe('data: {"stream":"stdout","text":"first\\n"}\n\n');
  gone.abort();
  await expect.poll(() => door.executor.done).toContain("log closed");
  const missing = await fetch(`${door.url}/v1/sandboxes/zz/logs?follow=true`);
  expect(missing.status).toBe(404);
});

test("a follower of a silent log is answered before there is anything to show", async () => {
  await using door = await openTestDoor();
  door.executor.list = [fakeSandbox("a")];
  door.executor.logs = {
    async *[Symbol.asyncIterator]() {
      await new Promise<void>((resolve) =>
        door.executor.done.push(String(setTimeout(resolve, 2000).unref())),
      );
      yield { stream: "stdout" as const, text: "late" };
    },
  };
  const gone = new AbortController();
  const answer = await fetch(`${door.url}/v1/sandboxes/a/logs?follow=true`, { signal: gone.signal });
  expect(answer.status).toBe(200);
  gone.abort();
});

test("a prefetch waits and answers, or shows how far it has come", async () => {
  await using door = await openTestDoor();
  door.executor.prefetching = async ({ onProgress }) => {
    onProgress?.({ image: "a:1", doneBytes: 1, totalBytes: 2 });
    await new Promise((resolve) => setImmediate(resolve));
    onProgress?.({ image: "a:1", doneBytes: 2, totalBytes: 2 });
    await new Promise((resolve) => setImmediate(resolve));
    return { digest: "sha256:1", wasPulled: true, retired: 1 };
  };
  const ask = (accept: string): Promise<Response> =>
    fetch(`${door.url}/v1/images/prefetch`, {
      method: "POST",
      headers: { "content-type": "application/json", accept },
      body: '{"image":"a:1"}',
    });
  expect(await (await ask("*/*")).json()).toEqual({ digest: "sha256:1", wasPulled: true, retired: 1 });
  const lines = (await (await ask("application/x-ndjson")).text()).trim().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as { type: string }).type)).toEqual([
    "pulling",
    "pulling",
    "done",
  ]);
  door.executor.prefetching = () => Promise.reject(new ExecutorError("IMAGE_NOT_FOUND", { image: "a:1" }));
  expect((await ask("*/*")).status).toBe(404);
  expect(await (await ask("text/event-stream")).text()).toMatch(/^data: .*IMAGE_NOT_FOUND/);
});

test("settings change as a whole or not at all, and the log says what was before and after", async () => {
  await using door = await openTestDoor();
  const patch = (body: unknown): Promise<Response> =>
    fetch(`${door.url}/v1/config`, {
      method: "PATCH",
      headers: { "content-type": "application/merge-patch+json" },
      body: JSON.stringify(body),
    });
  const good = await patch({ cpu: 2 });
  expect(good.status).toBe(200);
  expect(((await good.json()) as { settings: unknown[] }).settings).toContainEqual(
    expect.objectContaining({ key: "cpu", value: 2 }),
  );
  const bad = await patch({ mem: 1024, cpu: 65, nonsense: 1 });
  expect(bad.status).toBe(400);
  expect(await bad.json()).toMatchObject({
    code: "CONFIG_INVALID",
    facts: { faults: ["cpu: expected at most 64", "nonsense: there is no such setting"] },
  });
  expect(door.settings.get("mem")).toBe(4096);
  expect(door.log).toContainEqual({
    event: "control.used",
    fields: expect.objectContaining({
      action: "config",
      changed: [{ key: "cpu", before: 4, after: 2 }],
    }) as never,
  });
});

test("pause, unpause and drain answer with the state, and drain ends the daemon after its answer", async () => {
  await using door = await openTestDoor();
  door.executor.running = 2;
  const post = async (path: string): Promise<unknown> =>
    (await fetch(`${door.url}${path}`, { method: "POST" })).json();
  expect(await post("/v1/pause")).toEqual({ state: "paused", running: 2 });
  const refused = await fetch(`${door.url}/v1/calls?image=a`, { method: "POST" });
  expect([refused.status, refused.headers.get("hearth-error")]).toEqual([503, "PAUSED"]);
  expect(await post("/v1/unpause")).toEqual({ state: "running", running: 2 });
  expect(await post("/v1/drain")).toEqual({ state: "draining", running: 2 });
  await expect.poll(() => door.stops).toBe(1);
});

test("the host, its figures, what waits and the task folders are shown", async () => {
  await using door = await openTestDoor({
    hostDisk: new FakeDisk(),
    listTasks: () => Promise.resolve([{ id: "echo", folder: "/t/echo", command: ["node"] }]),
  });
  const get = async (path: string): Promise<unknown> => (await fetch(`${door.url}${path}`)).json();
  expect(await get("/v1/host")).toMatchObject({ state: "running", driver: "fake", version: "0.0.0-test" });
  expect(await get("/v1/host")).toMatchObject({
    disk: { totalBytes: 1000e9, availableBytes: 600e9, capacityBytes: 900e9, reservedBytes: 0 },
  });
  expect(await get("/v1/stats")).toMatchObject({ total_cpu: 8, task_mem: 4096 });
  expect(await get("/v1/waiting")).toEqual({ waiting: [] });
  expect(await get("/v1/tasks")).toEqual({ tasks: [{ id: "echo", folder: "/t/echo", command: ["node"] }] });
});

test("what no route takes is a problem, and says what the path would take", async () => {
  await using door = await openTestDoor();
  const missing = await fetch(`${door.url}/v1/nothing`);
  expect([missing.status, ((await missing.json()) as { code: string }).code]).toEqual([
    404,
    "ROUTE_NOT_FOUND",
  ]);
  const wrong = await fetch(`${door.url}/v1/pause`);
  expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
  expect(((await wrong.json()) as { code: string }).code).toBe("METHOD_NOT_ALLOWED");
  const deleted = await fetch(`${door.url}/v1/host`, { method: "DELETE" });
  expect([deleted.status, deleted.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
  const legacy = await fetch(`${door.url}/pause`);
  expect(legacy.headers.get("allow")).toBe("POST, OPTIONS");
  expect([legacy.status, await legacy.json()]).toEqual([
    405,
    { success: false, msg: "this path takes POST" },
  ]);
  expect((await fetch(`${door.url}/v1/host`, { method: "OPTIONS" })).status).toBe(204);
  expect((await fetch(`${door.url}/v1/host`, { method: "HEAD" })).status).toBe(200);
  expect((await fetch(`${door.url}/%ff`)).status).toBe(400);
});

test("a body that is no JSON by its type, or by its bytes, is refused before the route runs", async () => {
  await using door = await openTestDoor();
  const post = (headers: Record<string, string>, body: string | Uint8Array<ArrayBuffer>): Promise<Response> =>
    fetch(`${door.url}/v1/images/prefetch`, { method: "POST", headers, body });
  expect((await post({ "content-type": "text/plain" }, '{"image":"a"}')).status).toBe(415);
  expect((await post({ "content-type": "application/json" }, "{")).status).toBe(400);
  expect((await post({ "content-type": "application/json" }, "")).status).toBe(400);
  expect((await post({ "content-type": "application/json" }, Buffer.from([0x22, 0xff, 0x22]))).status).toBe(
    400,
  );
});

test("every JSON answer of a looking route fits the schema that describes it", async () => {
  const receipts = new MemoryReceipts();
  await using door = await openTestDoor({ receipts, queue: fakeQueue });
  door.executor.list = [fakeSandbox("a")];
  door.executor.waits = [
    {
      taskKey: fakeSandbox("a").taskKey,
      task: fakeSandbox("a").task,
      callers: 1,
      waitedMs: 5,
      reason: "no room",
      jobIds: undefined,
    },
    { ...fakeSandbox("a"), callers: 1, waitedMs: 5, reason: "no room", jobIds: ["k2p9"] },
  ];
  door.executor.jobs.views = [
    fakeJob("k2.p9"),
    fakeJob("new", { state: "reserved", ranMs: undefined, serves: "n:a:f:v1" }),
  ];
  door.executor.sessionList = [fakeSession("known")];
  const started = await fetch(`${door.url}/v1/calls?image=a`, {
    method: "POST",
    headers: { prefer: "respond-async" },
  });
  const { id } = (await started.json()) as { id: string };
  await expect.poll(async () => (await fetch(`${door.url}/v1/runs/${id}/answer`)).status).toBe(200);
  receipts.add(id);
  for (const [name, route] of Object.entries<Route>(ROUTES)) {
    const schema = route.answers[200]?.content?.["application/json"];
    if (route.method !== "GET" || schema === undefined) continue;
    const path = route.path
      .replace("{runId}", id)
      .replace("{sandboxId}", "a")
      .replace("{jobId}", "k2.p9")
      .replace("{sessionId}", "known");
    const answer = await fetch(`${door.url}${path}`, { headers: { accept: "application/json" } });
    const body: unknown = await answer.json();
    expect(schema.safeParse(body).error?.issues, name).toBeUndefined();
    expect(Object.keys(body as object).length, name).toBeGreaterThan(0);
  }
});

test("a job is known by its own id and by its sandbox's; the newest attempt is meant", async () => {
  await using door = await openTestDoor();
  const second = { mark: { jobId: "k2p9", attempt: 2 }, sandboxId: asId<"sandbox">("second") };
  door.executor.jobs.views = [fakeJob("k2p9", { state: "removing" }), fakeJob("k2p9", second)];
  const look = async (id: string): Promise<unknown> => (await fetch(`${door.url}/v1/jobs/${id}`)).json();
  expect(await look("k2p9")).toMatchObject({ attempt: 2, sandboxId: "second" });
  expect(await look("sandbox-of-k2p9")).toMatchObject({ attempt: 1, state: "removing" });
  expect(await look("k2p9")).not.toHaveProperty("serves");
  door.executor.jobs.views = [fakeJob("c1", { door: "indexify", serves: "n:a:f:v1" })];
  expect(await look("c1")).toMatchObject({ image: "sim:1", serves: "n:a:f:v1" });
  expect(await look("other")).toMatchObject({ code: "JOB_NOT_FOUND", status: 404 });
  expect((await fetch(`${door.url}/v1/jobs/a%2Fb`)).status).toBe(400);
});

test("M20: the driver's own class by its name is the same task as no class at all", async () => {
  await using door = await openTestDoor();
  for (const query of ["image=a", "image=a&isolation=default", "image=a&isolation=container"]) {
    expect((await fetch(`${door.url}/v1/calls?${query}`, { method: "POST" })).status).toBe(200);
  }
  await fetch(`${door.url}/v1/calls?image=a&isolation=gvisor`, { method: "POST" });
  const asked = door.executor.calls.map(({ task }) => task.isolation);
  expect(asked).toEqual(["default", "default", "default", "gvisor"]);
});

test("calls that are turned away at the door are counted by code; whatever is no call is not", async () => {
  await using door = await openTestDoor({
    tokens: [{ name: "t", token: new Secret("right"), scopes: ["run", "read"] }],
  });
  const headers = { authorization: "Bearer right" };
  const post = async (path: string, more: Record<string, string> = headers, body = "{}"): Promise<number> =>
    (await fetch(`${door.url}${path}`, { method: "POST", headers: more, body })).status;
  expect(await post("/v1/calls?image=a:1")).toBe(200);
  expect(await post("/v1/calls?image=a:1", {})).toBe(401);
  expect(await post("/", {})).toBe(401);
  expect(await post("/v1/calls?image=a:1&cpus=1")).toBe(400);
  expect(await post("/v1/runs", { ...headers, "content-type": "application/json" }, "{")).toBe(400);
  expect(await post("/", { ...headers, "content-type": "application/json" }, "{")).toBe(400);
  expect(await post("/v1/nothing")).toBe(404);
  expect((await fetch(`${door.url}/v1/host`)).status).toBe(401);
  // A call that fails was one.
  door.executor.script = (call) => call.fail(new ExecutorError("RUN_TIMEOUT"));
  expect(await post("/v1/calls?image=a:1")).toBe(504);
  expect([...door.counts().refusedCalls]).toEqual([
    ["TOKEN_REQUIRED", 2],
    ["INPUT_INVALID", 3],
  ]);
});

test("a parameter that a route does not know is refused by its name, on every route", async () => {
  await using door = await openTestDoor();
  const rows = Object.entries(ROUTES).filter(([name]) => name !== "call");
  expect(rows.length).toBeGreaterThan(30);
  for (const [name, { method, path }] of rows) {
    const url = `${door.url}${path.replaceAll(/\{\w+\}/g, "x")}?bogus=1`;
    const signal = AbortSignal.timeout(60_000);
    const body = method === "POST" || method === "PATCH" ? { body: "{}" } : {};
    const headers = { "content-type": "application/json" };
    const answer = await fetch(url, { method, headers, signal, ...body });
    const problem = (await answer.json()) as { code?: string; detail?: string };
    expect([name, answer.status, problem.code]).toEqual([name, 400, "INPUT_INVALID"]);
    expect(problem.detail).toContain("bogus");
  }
  expect(door.stops).toBe(0);
});

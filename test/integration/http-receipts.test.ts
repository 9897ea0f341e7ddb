import { expect, test } from "vitest";
import type { Run } from "../../src/client/index.ts";
import { HearthClient } from "../../src/client/index.ts";
import type { CallStory, Receipt } from "../../src/core/index.ts";
import { asId, ExecutorError } from "../../src/core/index.ts";
import { EventFeed } from "../../src/doors/http/feed/event-feed.ts";
import { MemoryRunStore } from "../../src/drivers/records/memory-run-store.ts";
import { DEFAULT_RUN_LIMITS } from "../../src/drivers/records/open-run-store.ts";
import { ChainVerifier, verifyReceipt } from "../../src/std/receipts/index.ts";
import { MemoryReceipts } from "../support/memory-receipts.ts";
import { openTestDoor } from "../support/open-test-door.ts";

async function open() {
  const receipts = new MemoryReceipts();
  const records = new MemoryRunStore(DEFAULT_RUN_LIMITS, () => 0);
  const feed = new EventFeed({ life: "life", nowMs: Date.now });
  const door = await openTestDoor({ receipts, records, feed });
  return {
    feed,
    receipts,
    records,
    door,
    client: new HearthClient({ baseUrl: door.url }),
    [Symbol.asyncDispose]: () => door[Symbol.asyncDispose](),
  };
}

const idsOf = (runs: readonly Run[]): string[] => runs.map(({ id }) => id);

test("W: a run of any door is told of by its receipt, and its answer is not kept", async () => {
  await using world = await open();
  const entry = world.receipts.add("r1", { door: "legacy", status: 404 });
  expect(await world.client.run("r1")).toEqual({
    id: "r1",
    state: "answered",
    door: "legacy",
    image: "a:1",
    createdAt: "1970-01-01T00:00:01.000Z",
    endedAt: "1970-01-01T00:00:01.003Z",
    placement: {
      sandboxId: "s1",
      isolation: "container",
      imageDigest: "sha256:0",
      start: "warm",
      waitedMs: 1,
      warnings: [],
    },
    answer: { status: 404, isSuccess: false, bytes: 3, isKept: false },
    receipt: entry,
  });
  await expect(world.client.answer("r1")).rejects.toMatchObject({ status: 404, code: "ANSWER_NOT_KEPT" });
  const seen: string[] = [];
  for await (const run of world.client.followRun("r1")) seen.push(run.state);
  expect(seen).toEqual(["answered"]);
  expect((await world.client.cancelRun("r1")).state).toBe("answered");
});

test("W: a job's run is found under the id that lists give it", async () => {
  await using world = await open();
  const id = "my.job-1~2";
  world.receipts.add(id, { door: "stream" });
  expect(idsOf((await world.client.runs()).runs)).toEqual([id]);
  expect(await world.client.run(id)).toMatchObject({ id, door: "stream" });
  expect(verifyReceipt((await world.client.receipt(id)) as unknown as Receipt)).toEqual([]);
});

test("W: a failed or cancelled attempt shows the problem, with how its task ended", async () => {
  await using world = await open();
  world.receipts.add("f", { outcome: "failed", error: "TASK_EXITED", exitCode: 7 });
  world.receipts.add("c", { outcome: "cancelled" });
  expect(await world.client.run("f")).toMatchObject({
    state: "failed",
    problem: { code: "TASK_EXITED", status: 502, facts: { exitCode: 7 }, requestId: "f" },
  });
  expect(await world.client.run("c")).toMatchObject({
    state: "cancelled",
    problem: { code: "CALL_CANCELLED" },
  });
  await expect(world.client.answer("f")).rejects.toMatchObject({ code: "TASK_EXITED" });
});

test("W: a refused attempt that never had a place has none", async () => {
  await using world = await open();
  const { digest: _d, isolation: _i, sandbox: _s, start: _t, ...nowhere } = world.receipts.add("served");
  world.receipts.entries.push({ ...nowhere, id: "q", outcome: "failed", error: "QUEUE_FULL" });
  const run = await world.client.run("q");
  expect(run.placement).toBeUndefined();
  expect(run.problem?.code).toBe("QUEUE_FULL");
});

test("W: a recorded call is one run with its receipt, and keeps what its record knows", async () => {
  await using world = await open();
  world.door.executor.script = (call) => call.answer("out", 201, "text/y");
  const { id } = await world.client.callAsync({ image: "a:1", input: "in" });
  await expect.poll(async () => (await world.client.run(id)).state).toBe("answered");
  expect((await world.client.run(id)).receipt).toBeUndefined();
  world.receipts.add(id, { status: 201 });
  const run = await world.client.run(id);
  expect(run).toMatchObject({
    door: "v1",
    answer: { status: 201, contentType: "text/y", isKept: true },
    placement: { phases: {} },
    receipt: { id, seq: 1 },
  });
  expect((await world.client.answer(id)).text).toBe("out");
  expect(idsOf((await world.client.runs()).runs)).toEqual([id]);
});

test("W: whoever has his answer finds the run, though it is on its way into the chain", async () => {
  await using world = await open();
  world.receipts.add("soon", {}, true);
  expect((await world.client.run("soon")).id).toBe("soon");
  world.receipts.add("next", {}, true);
  expect(idsOf((await world.client.runs()).runs)).toEqual(["next", "soon"]);
  world.receipts.add("third", {}, true);
  expect((await world.client.receipt("third")).entry.id).toBe("third");
});

/** Ends a recorded call, as far as its record tells. */
async function endRecord(records: MemoryRunStore, id: string, endedAtMs: number): Promise<void> {
  await records.end(asId<"run">(id), {
    end: { type: "answered", status: 200, contentType: undefined, bytes: 3, isKept: false },
    endedAtMs,
    placement: undefined,
    answer: undefined,
    freesKey: false,
  });
}

async function beginRecord(records: MemoryRunStore, id: string): Promise<void> {
  const runId = asId<"run">(id);
  await records.begin({ runId, image: "a:1", createdAtMs: 1, key: undefined, fingerprint: "" });
}

/** Everything that needs no timer is over by then, as all of the store in memory is. */
const aTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("W: a recorded call is one run in the list while its receipt is on its way into the chain", async () => {
  await using world = await open();
  const { receipts, records, client } = world;
  await beginRecord(records, "soon");
  await endRecord(records, "soon", 1003);
  receipts.add("soon", {}, true);
  const flush = receipts.flush.bind(receipts);
  receipts.flush = async () => {
    await aTurn();
    await flush();
  };
  const { runs } = await client.runs();
  expect(runs.map(({ id, receipt }) => [id, receipt?.seq])).toEqual([["soon", 1]]);
});

test("W: a recorded call whose receipt is written while the list is read is one run, and no page misses another", async () => {
  await using world = await open();
  const { receipts, records, client } = world;
  receipts.add("old");
  for (const [id, endedAtMs] of [
    ["alone", 500],
    ["now", 2003],
  ] as const) {
    await beginRecord(records, id);
    await endRecord(records, id, endedAtMs);
  }
  const list = receipts.list.bind(receipts);
  receipts.list = async (filter) => {
    // By now the records have been looked at.
    await aTurn();
    if (receipts.entries.length === 1) receipts.add("now");
    return await list(filter);
  };
  const first = await client.runs({ limit: 2 });
  const second = await client.runs({ limit: 2, after: first.next });
  expect([idsOf(first.runs), idsOf(second.runs)]).toEqual([["now", "old"], ["alone"]]);
});

test("W: a run that ends while the list is read is in it once, as ended", async () => {
  await using world = await open();
  const { receipts, records, client } = world;
  for (const id of ["stays", "ends"]) await beginRecord(records, id);
  const running = records.running.bind(records);
  records.running = async (most) => {
    const found = await running(most);
    await endRecord(records, "ends", 1003);
    if (receipts.entries.length === 0) receipts.add("ends");
    return found;
  };
  const { runs } = await client.runs();
  expect(runs.map(({ id, state }) => [id, state])).toEqual([
    ["stays", "running"],
    ["ends", "answered"],
  ]);
});

test("W: pages go from those under way to the oldest, with none left out and none twice", async () => {
  await using world = await open();
  const { receipts, records, client } = world;
  world.door.executor.script = () => undefined;
  const running = (await client.callAsync({ image: "a:1", input: "" })).id;
  // Ends a millisecond apart, in turn known from a receipt alone, from a record alone, and from both.
  for (let i = 0; i < 30; i += 1) {
    const id = `r${String(i).padStart(2, "0")}`;
    const endedAtMs = 2_000_000 + i;
    const kind = i % 3;
    if (kind !== 1) receipts.add(id, { acceptedAtUs: endedAtMs * 1000 - 3000 });
    if (kind === 0) continue;
    await records.begin({
      runId: asId<"run">(id),
      image: "a:1",
      createdAtMs: 1,
      key: undefined,
      fingerprint: "",
    });
    const end = { type: "lost" } as const;
    await records.end(asId<"run">(id), {
      end,
      endedAtMs,
      placement: undefined,
      answer: undefined,
      freesKey: false,
    });
  }
  const seen: string[] = [];
  let after: string | undefined;
  for (let page = 0; page < 20; page += 1) {
    const list = await client.runs({ limit: 4, after });
    expect(list.runs.length).toBeLessThanOrEqual(4);
    seen.push(...idsOf(list.runs));
    after = list.next;
    if (after === undefined) break;
  }
  const expected = Array.from({ length: 30 }, (_, i) => `r${String(29 - i).padStart(2, "0")}`);
  expect(seen).toEqual([running, ...expected]);
});

test("W: a page that is full of runs under way is followed by those that have ended", async () => {
  await using world = await open();
  world.door.executor.script = () => undefined;
  for (let i = 0; i < 2; i += 1) await world.client.callAsync({ image: "a:1", input: "" });
  world.receipts.add("ended");
  const first = await world.client.runs({ limit: 2 });
  expect(first.runs.map(({ state }) => state)).toEqual(["running", "running"]);
  expect(idsOf((await world.client.runs({ limit: 2, after: first.next })).runs)).toEqual(["ended"]);
});

test("W: filters name the door, the image or its content, the class, the outcome and the time", async () => {
  await using world = await open();
  const { receipts, client } = world;
  receipts.add("a", { door: "legacy", image: "x:1" });
  receipts.add("b", { isolation: "process", status: 404 });
  receipts.add("c", { outcome: "failed", error: "RUN_TIMEOUT", digest: "sha256:9" });
  const ids = async (wish: Parameters<HearthClient["runs"]>[0]): Promise<string[]> =>
    idsOf((await client.runs(wish)).runs);
  expect(await ids({ door: "legacy" })).toEqual(["a"]);
  expect(await ids({ image: "x:1" })).toEqual(["a"]);
  expect(await ids({ image: "sha256:9" })).toEqual(["c"]);
  expect(await ids({ isolation: "process" })).toEqual(["b"]);
  expect(await ids({ outcome: "answered" })).toEqual(["b", "a"]);
  expect(await ids({ outcome: "failed" })).toEqual(["c"]);
  expect(await ids({ outcome: "RUN_TIMEOUT" })).toEqual(["c"]);
  expect(await ids({ outcome: "404" })).toEqual(["b"]);
  expect(await ids({ outcome: "running" })).toEqual([]);
  expect(await ids({ since: "1970-01-01T00:00:02Z" })).toEqual(["c", "b"]);
  expect(await ids({ until: "1970-01-01T00:00:02Z" })).toEqual(["a"]);
  expect(await ids({ since: "1970-01-01T01:00:02+01:00", until: "1970-01-01T00:00:03Z" })).toEqual(["b"]);
});

test.each([
  "limit=0",
  "limit=x",
  "after=",
  "after=zzz",
  "door=nobody",
  "outcome=maybe",
  "since=yesterday",
  "images=a",
])("a list that cannot be meant is refused (%s)", async (query) => {
  await using world = await open();
  const answer = await fetch(`${world.door.url}/v1/runs?${query}`);
  expect([answer.status, answer.headers.get("hearth-error")]).toEqual([400, "INPUT_INVALID"]);
});

test("W: a receipt proves itself, and one changed word of it is found", async () => {
  await using world = await open();
  for (const id of ["a", "b", "c"]) world.receipts.add(id);
  const receipt = (await world.client.receipt("b")) as unknown as Receipt;
  const { publicKey } = await world.client.receiptKey();
  expect(verifyReceipt(receipt, publicKey)).toEqual([]);
  const forged = { ...receipt, entry: { ...receipt.entry, image: "b:1" } };
  expect(verifyReceipt(forged, publicKey)).not.toEqual([]);
});

test("W: the chain is exported as it is signed, line by line", async () => {
  await using world = await open();
  for (const id of ["a", "b", "c"]) world.receipts.add(id);
  const verifier = new ChainVerifier({ publicKey: (await world.client.receiptKey()).publicKey });
  for await (const line of world.client.receipts()) verifier.feed(line);
  expect(verifier.end()).toMatchObject({ isWhole: true, isComplete: true, attempts: 3, faults: [] });
  const answer = await fetch(`${world.door.url}/v1/receipts?from=1&to=2`);
  expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
  expect((await fetch(`${world.door.url}/v1/receipts?from=0`)).status).toBe(400);
});

test("a run without a receipt has none, and a run that nobody knows is another thing", async () => {
  await using world = await open();
  world.door.executor.script = () => undefined;
  const { id } = await world.client.callAsync({ image: "a:1", input: "" });
  await expect(world.client.receipt(id)).rejects.toMatchObject({ status: 404, code: "RECEIPT_NOT_FOUND" });
  await expect(world.client.receipt("nobody")).rejects.toMatchObject({ status: 404, code: "RUN_NOT_FOUND" });
});

test("a chain that cannot be read takes recorded calls nothing away, and is said where it is asked for", async () => {
  await using world = await open();
  world.receipts.fault = new ExecutorError("RECORDS_UNAVAILABLE", { reason: "the disk is gone" });
  world.door.executor.script = (call) => call.answer("out");
  const { id } = await world.client.callAsync({ image: "a:1", input: "in" });
  await expect.poll(async () => (await world.client.run(id)).state).toBe("answered");
  expect((await world.client.answer(id)).text).toBe("out");
  await expect(world.client.runs()).rejects.toMatchObject({ status: 503, code: "RECORDS_UNAVAILABLE" });
});

test("W: a failed run that asked for no record is told with the figures that its caller was told", async () => {
  await using world = await open();
  const runId = asId<"run">("big");
  world.receipts.add("big", { outcome: "failed", error: "TASK_OUT_OF_MEMORY" });
  const error = new ExecutorError("TASK_OUT_OF_MEMORY", { asked: 9000, limit: 4096 });
  const story = { runId, end: "failed", error, task: { image: "a:1" }, door: "http", acceptedAtMs: 0 };
  world.feed.observer.callEnded(story as unknown as CallStory);
  const run = await world.client.run("big");
  expect(run.problem).toMatchObject({ code: "TASK_OUT_OF_MEMORY", facts: { asked: 9000, limit: 4096 } });
  expect(run.problem?.detail).toContain("asked 9000; limit 4096");
  expect((await world.client.runs()).runs[0]?.problem).toEqual(run.problem);
});

test("W: an answer names a run if and only if the executor has heard of the call, refused ones included", async () => {
  await using world = await open();
  const { door } = world;
  const json = { "content-type": "application/json" };
  const refuse = (): void => {
    door.executor.script = (call) => call.fail(new ExecutorError("QUEUE_FULL"));
  };
  const send = async (path: string, method: string, body?: string): Promise<Response> =>
    await fetch(`${door.url}${path}`, { method, headers: json, ...(body === undefined ? {} : { body }) });
  const nobodyHeard = [
    await send("/v1/calls", "POST", "x"),
    await send("/v1/calls?image=a:1&cpu=nonsense", "POST", "x"),
    await send("/v1/nowhere", "POST", "x"),
    await send("/v1/host", "GET"),
    await send("/v1/runs/none", "GET"),
    await send("/", "POST", "no json"),
    await send("/", "POST", '{"id":"a:1","resource":{"cpu":-1}}'),
    await send("/", "POST", `"${"x".repeat(200_000)}"`),
  ];
  const before = door.executor.calls.length;
  for (const answer of nobodyHeard) {
    expect([answer.url, answer.headers.has("hearth-run-id")]).toEqual([answer.url, false]);
  }
  refuse();
  const heard = [
    await send("/v1/calls?image=a:1", "POST", "x"),
    await send("/", "POST", '{"id":"a:1"}'),
    await send("/v1/attest?image=a:1", "POST"),
  ];
  const ids = heard.map((answer) => answer.headers.get("hearth-run-id"));
  expect(ids).toEqual(door.executor.calls.slice(before).map(({ options }) => options.runId));
  expect(new Set(ids).size).toBe(3);
  const problem = (await heard[0]?.json()) as { requestId: string };
  expect(problem.requestId).toBe(ids[0]);
});

test("the run's id in each answer's head is that of its call, on /v1 and on the older paths", async () => {
  await using world = await open();
  const { door } = world;
  const headOf = (answer: Response): string | null => answer.headers.get("hearth-run-id");
  const v1 = await fetch(`${door.url}/v1/calls?image=a:1`, { method: "POST", body: "x" });
  const fast = await fetch(door.url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"id":"a:1"}',
  });
  // A header that the fast path leaves to the other one.
  const slow = await fetch(door.url, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer x" },
    body: '{"id":"a:1"}',
  });
  const ids = [v1, fast, slow].map(headOf);
  expect(ids).toEqual(door.executor.calls.map(({ options }) => options.runId));
  expect(new Set(ids).size).toBe(3);
});

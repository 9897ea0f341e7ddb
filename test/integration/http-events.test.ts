import { once } from "node:events";
import type { IncomingMessage, Server } from "node:http";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test, vi } from "vitest";
import type { HostEvent, Live } from "../../src/client/index.ts";
import { HearthClient } from "../../src/client/index.ts";
import { DEFAULT_RESOURCES, Secret, taskKey } from "../../src/core/index.ts";
import { EventFeed } from "../../src/doors/http/feed/event-feed.ts";
import type { WaitingView } from "../../src/engine/executor.ts";
import { fakeSandbox } from "../support/fake-executor.ts";
import { fakeJob } from "../support/fake-jobs.ts";
import type { TestDoor } from "../support/open-test-door.ts";
import { openTestDoor } from "../support/open-test-door.ts";
import { poll } from "../support/poll.ts";

function clientOf(door: TestDoor, token?: string): HearthClient {
  return new HearthClient({ baseUrl: door.url, token });
}

function feedOf(keptEvents = 100, life = "life"): EventFeed {
  return new EventFeed({ life, nowMs: Date.now, keptEvents });
}

/** The first values, then the connection is let go. */
async function take<T>(values: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const value of values) {
    taken.push(value);
    if (taken.length === count) break;
  }
  return taken;
}

const briefly = (event: HostEvent): string =>
  `${event.id} ${event.type}${event.type === "executor" ? ` ${event.state}` : ""}`;

test("events of the past come if asked for, then what happens, each with an id to go on from", async () => {
  const feed = feedOf();
  await using door = await openTestDoor({ feed });
  for (const state of ["pausing", "paused", "running"] as const) feed.observer.executorChanged(state);
  const client = clientOf(door);
  const following = take(client.events({ recent: 2 }), 3);
  await poll("somebody reads", () => door.executor.done.includes("health") || "not yet");
  feed.observer.executorChanged("draining");
  expect((await following).map(briefly)).toEqual([
    "life.2 executor paused",
    "life.3 executor running",
    "life.4 executor draining",
  ]);
  expect((await take(client.events({ after: "life.3" }), 1)).map(briefly)).toEqual([
    "life.4 executor draining",
  ]);
});

test("server-sent events carry id and type, and Last-Event-ID goes on after it", async () => {
  const feed = feedOf();
  await using door = await openTestDoor({ feed });
  feed.observer.executorChanged("paused");
  feed.observer.executorChanged("running");
  const leaving = new AbortController();
  const answer = await fetch(`${door.url}/v1/events`, {
    headers: { accept: "text/event-stream", "last-event-id": "life.1" },
    signal: leaving.signal,
  });
  expect(answer.headers.get("content-type")).toMatch("text/event-stream");
  const reader = answer.body!.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  const text = new TextDecoder().decode((await reader.read()).value);
  leaving.abort();
  expect(text).toMatch(/^id: life\.2\nevent: executor\ndata: \{.*"state":"running"\}\n\n$/);
});

test("an id of another life, and one that the ring has left behind, are answered with a gap first", async () => {
  const feed = feedOf(4);
  await using door = await openTestDoor({ feed });
  for (let i = 0; i < 10; i += 1) feed.observer.executorChanged(i % 2 === 0 ? "paused" : "running");
  const client = clientOf(door);
  const restarted = await take(client.events({ after: "otherlife.3" }), 2);
  expect(restarted[0]).toMatchObject({ type: "gap", reason: "restarted", id: "life.6" });
  expect(restarted[1]?.id).toBe("life.7");
  const overrun = await take(client.events({ after: "life.2" }), 2);
  expect(overrun[0]).toMatchObject({ type: "gap", reason: "overrun", id: "life.6" });
  // Going on after the gap misses nothing more.
  expect((await take(client.events({ after: overrun[0]?.id }), 1))[0]?.id).toBe("life.7");
});

test.each(["life.4", "life.99999", "life", "17", "life.x"])(
  "an id that no event has had is said to be one, not a restart (%j)",
  async (after) => {
    const feed = feedOf(8);
    await using door = await openTestDoor({ feed });
    for (let i = 0; i < 3; i += 1) feed.observer.executorChanged(i % 2 === 0 ? "paused" : "running");
    const [first, second] = await take(clientOf(door).events({ after, recent: 3 }), 2);
    expect(first).toMatchObject({ type: "gap", reason: "unknown", id: "life.0" });
    expect(second?.id).toBe("life.1");
  },
);

test.each(["/v1/live", "/v1/events"])("HEAD of %s is its head, at once, and it ends", async (path) => {
  await using door = await openTestDoor({ feed: feedOf(8) });
  const answer = await fetch(`${door.url}${path}`, {
    method: "HEAD",
    headers: { accept: "text/event-stream" },
  });
  expect([answer.status, answer.headers.get("content-type")]).toEqual([
    200,
    "text/event-stream; charset=utf-8",
  ]);
  expect(await answer.text()).toBe("");
});

test.each([
  [undefined, "application/x-ndjson", /^\{"type":"snapshot",.*\}\n/],
  [
    "text/event-stream",
    "text/event-stream; charset=utf-8",
    /^event: snapshot\ndata: \{"type":"snapshot",.*\}\n\n/,
  ],
])("the whole state is told as lines, or as server-sent events (%s)", async (accept, type, form) => {
  await using door = await openTestDoor({ feed: feedOf(8) });
  const leaving = new AbortController();
  const headers: Record<string, string> = accept === undefined ? {} : { accept };
  const answer = await fetch(`${door.url}/v1/live`, { headers, signal: leaving.signal });
  expect(answer.headers.get("content-type")).toBe(type);
  const reader = answer.body!.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  expect(new TextDecoder().decode((await reader.read()).value)).toMatch(form);
  leaving.abort();
});

test("a reader that does not read costs a cursor: what it missed is one gap, and it ends where the others are", async () => {
  const feed = feedOf(50);
  // On a loaded machine all this takes longer than a client may leave its answer unread.
  await using door = await openTestDoor({ feed, limits: { writeTimeoutMs: 600_000 } });
  const outgoing = request(`${door.url}/v1/events?recent=1`, { agent: false });
  outgoing.end();
  feed.observer.executorChanged("paused");
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  answer.pause();
  const before = process.memoryUsage().heapUsed;
  const image = `long/${"x".repeat(400)}`;
  for (let i = 0; i < 60_000; i += 1) {
    feed.ring.append({ type: "waiting", taskKey: "k", image, callers: 1, waitedMs: i, reason: "r" });
    // The reader's turn.
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(60e6);
  let text = "";
  answer.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  answer.resume();
  await poll(
    "the last event has come",
    () => text.includes('"waitedMs":59999') || `${text.length} characters`,
  );
  const events = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as HostEvent);
  expect(events.filter(({ type }) => type === "gap").length).toBeGreaterThan(0);
  expect(events.length).toBeLessThan(60_000);
  const numbers = events.map(({ id }) => Number(id.split(".")[1]));
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  outgoing.destroy();
}, 180_000);

test("a snapshot, then samples that say what has changed and what happened meanwhile", async () => {
  const feed = feedOf();
  await using door = await openTestDoor({ feed });
  const { executor } = door;
  executor.list = [fakeSandbox("s1"), fakeSandbox("s2")];
  feed.observer.executorChanged("running");
  const seen: Live[] = [];
  const until = async (what: string, isSo: (live: Live) => boolean, change: () => void): Promise<void> => {
    change();
    for (;;) {
      const { value } = await stream.next();
      if (value === undefined) throw new Error(`the stream ended before: ${what}`);
      seen.push(value);
      if (isSo(value)) return;
    }
  };
  const stream = clientOf(door).live();
  await until(
    "the snapshot",
    ({ type }) => type === "snapshot",
    () => undefined,
  );
  expect(seen[0]).toMatchObject({
    type: "snapshot",
    life: "life",
    host: { state: "running", driver: "fake" },
    engine: { isHealthy: true },
    sandboxes: [{ id: "s1" }, { id: "s2" }],
    events: [{ id: "life.1" }],
  });
  await until(
    "a sandbox went and another took calls",
    (live) => live.type === "sample" && live.sandboxes.gone.length > 0,
    () => {
      executor.list = [fakeSandbox("s1", { calls: 99 })];
    },
  );
  expect(seen.at(-1)).toMatchObject({ sandboxes: { changed: [{ id: "s1", calls: 99 }], gone: ["s2"] } });
  await until(
    "a job runs",
    ({ jobs }) => jobs.length > 0,
    () => {
      executor.jobs.views = [fakeJob("j1")];
    },
  );
  expect(seen.at(-1)?.jobs).toMatchObject([{ jobId: "j1", state: "running", door: "stream" }]);
  await until(
    "it is over",
    ({ jobs }) => jobs.length === 0,
    () => {
      executor.jobs.views = [];
    },
  );
  await until(
    "a call waits",
    ({ events }) => events.some(({ type }) => type === "waiting"),
    () => {
      executor.waits = [waits("no room")];
    },
  );
  await until(
    "none waits",
    ({ events }) => events.some((event) => event.type === "waiting" && event.callers === 0),
    () => {
      executor.waits = [];
    },
  );
  await until(
    "the engine is gone",
    ({ engine }) => !engine.isHealthy,
    () => {
      executor.healthAnswer = { isHealthy: false, reason: "no socket" };
    },
  );
  expect(seen.flatMap(({ events }) => events).find(({ type }) => type === "engine")).toMatchObject({
    isHealthy: false,
    detail: "no socket",
  });
  await stream.return();
});

test("a change that matters is told at once, not with the next second", async () => {
  // Time that goes on only while this process does: a machine that stands still adds nothing to it.
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "performance"],
    shouldAdvanceTime: true,
    advanceTimeDelta: 10,
  });
  try {
    const feed = feedOf();
    await using door = await openTestDoor({ feed });
    const stream = clientOf(door).live();
    await stream.next();
    const beforeMs = performance.now();
    door.executor.state = "paused";
    feed.observer.executorChanged("paused");
    const { value } = await stream.next();
    expect(value?.host.state).toBe("paused");
    expect(performance.now() - beforeMs).toBeLessThan(900);
    await stream.return();
  } finally {
    vi.useRealTimers();
  }
});

test("closing the door ends both streams", async () => {
  const feed = feedOf();
  const door = await openTestDoor({ feed });
  feed.observer.executorChanged("running");
  const client = clientOf(door);
  const streams = [client.events({ recent: 1 }), client.live()];
  // Both are open before it closes.
  for (const stream of streams) expect((await stream.next()).done).toBe(false);
  const ended = streams.map((stream) => take<unknown>(stream, 1000));
  await door[Symbol.asyncDispose]();
  for (const values of ended) expect((await values).length).toBeLessThan(1000);
});

test("over the monitor port somebody elsewhere may look, and only this host itself may act", async () => {
  await using door = await openTestDoor();
  await using monitor = await openMonitor(door);
  expect(await access(monitor.url)).toMatchObject({ wantsToken: false, scopes: ["run", "control", "read"] });
  const elsewhere = { "x-forwarded-for": "192.0.2.7" };
  expect(await access(monitor.url, elsewhere)).toMatchObject({
    scopes: ["read"],
    reason: expect.any(String) as string,
  });
  const refused = await fetch(`${monitor.url}/v1/pause`, { method: "POST", headers: elsewhere });
  expect([refused.status, refused.headers.get("hearth-error")]).toEqual([403, "CONTROL_FORBIDDEN"]);
  const called = await fetch(`${monitor.url}/v1/calls?image=a`, { method: "POST", headers: elsewhere });
  expect(called.status).toBe(403);
  expect((await fetch(`${monitor.url}/v1/host`, { headers: elsewhere })).status).toBe(200);
  expect(door.executor.state).toBe("running");
  expect((await fetch(`${monitor.url}/v1/pause`, { method: "POST" })).status).toBe(200);
  expect(door.executor.state).toBe("paused");
});

test("a page of another origin may not act over the monitor port, whoever opens it", async () => {
  await using door = await openTestDoor();
  await using monitor = await openMonitor(door);
  const headers = { origin: "http://evil.example" };
  const refused = await fetch(`${monitor.url}/v1/pause`, { method: "POST", headers });
  expect(refused.headers.get("hearth-error")).toBe("ORIGIN_FORBIDDEN");
  expect(door.executor.state).toBe("running");
});

test("with tokens, what a caller may do is what its token allows, from wherever it comes", async () => {
  const token = (name: string, scopes: readonly ("run" | "control" | "read")[]) => ({
    name,
    scopes,
    token: new Secret(`${name}-secret`),
  });
  await using door = await openTestDoor({
    tokens: [token("all", ["run", "control", "read"]), token("look", ["read"])],
  });
  await using monitor = await openMonitor(door);
  const elsewhere = { "x-forwarded-for": "192.0.2.7" };
  const bearer = (text: string) => ({ ...elsewhere, authorization: `Bearer ${text}` });
  expect(await access(monitor.url, elsewhere)).toEqual({
    wantsToken: true,
    scopes: [],
    reason: "This daemon wants a token.",
  });
  expect(await access(monitor.url, bearer("nonsense"))).toMatchObject({ scopes: [] });
  expect(await access(monitor.url, bearer("look-secret"))).toMatchObject({
    scopes: ["read"],
    reason: "The token does not allow: run, control.",
  });
  const paused = await fetch(`${monitor.url}/v1/pause`, { method: "POST", headers: bearer("all-secret") });
  expect(paused.status).toBe(200);
});

function waits(reason: string): WaitingView {
  const { task } = fakeSandbox("s");
  return {
    taskKey: taskKey(task),
    task: { ...task, resources: DEFAULT_RESOURCES },
    callers: 1,
    waitedMs: 5,
    reason,
    jobIds: undefined,
  };
}

async function access(url: string, headers: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const answer = await fetch(`${url}/v1/access`, { headers });
  return await answer.json();
}

/** A server that hands everything to the door, as the monitor door does with what is not its own. */
async function openMonitor(door: TestDoor): Promise<AsyncDisposable & { readonly url: string }> {
  const server: Server = createServer((incoming, response) => door.answerMonitor(incoming, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

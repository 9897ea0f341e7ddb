import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../src/contract/v1/host.ts";
import type { SandboxList } from "../../src/contract/v1/sandboxes.ts";
import type { Answer } from "../support/caller.ts";
import { Caller } from "../support/caller.ts";
import type { Baseline } from "../support/judge.ts";
import { baselineOf, judgeAtRest, rssOf, watchBooks } from "../support/judge.ts";
import { poll } from "../support/poll.ts";
import type { ProcessDaemon, ProcessHost } from "../support/process-host.ts";
import { OPENS, openProcessHost, WAITS } from "../support/process-host.ts";
import { SLACK } from "../support/slack.ts";

const MEBIBYTE = 1_048_576;

/** The HTTP edge of the built daemon, with its default limits, before a task that is a process: the driver does not matter here. */
describe("the HTTP edge", () => {
  let host: ProcessHost;
  let daemon: ProcessDaemon;
  let baseline: Baseline;
  let books: ReturnType<typeof watchBooks>;

  beforeAll(async () => {
    host = await openProcessHost();
    daemon = await host.start({ tasks: "queue_timeout_s: 5", config: "http: {write_timeout_s: 5}" });
    expect((await call("return 'hello'")).text).toBe("hello");
    // A heap that has met load keeps some of its size; growth beyond that is what is judged.
    for (let round = 0; round < 10; round += 1)
      await Promise.all(Array.from({ length: 100 }, () => call("return 'warm'")));
    baseline = await baselineOf(daemon.daemon);
    books = watchBooks(daemon);
  }, 240_000);
  afterAll(async () => {
    // Whatever is judged, all of it ends.
    await using _host = host;
    await using _daemon = daemon;
    await books.stop();
    await judgeAtRest(daemon, baseline);
    expect(await daemon.daemon.end("SIGTERM")).toBe(0);
    expect(await host.taskProcesses()).toEqual([]);
  }, 240_000);

  const call = (script: string, options: Parameters<Caller["call"]>[2] = {}): Promise<Answer> =>
    daemon.caller.call(host.obeys, script, { cpu: 1, mem: 128, ...options });
  const port = (): number => Number(new URL(daemon.daemon.baseUrl).port);

  test("B1: 500 connections that trickle heads, then bodies, are dropped in time with 408, and others are served well meanwhile", async () => {
    const kinds = [
      { head: "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", boundMs: 5000 },
      {
        head: "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n",
        boundMs: 10_000,
      },
    ] as const;
    const trickling = Promise.all(
      kinds.flatMap(({ head, boundMs }) =>
        Array.from({ length: 250 }, () => trickle(port(), head, boundMs * SLACK)),
      ),
    );
    await probe();
    expect((await call("return 'well'")).text).toBe("well");
    for (const text of await trickling) expect(text).toMatch(/^HTTP\/1\.1 408 [^]*"code":"REQUEST_TIMEOUT"/);
  }, 240_000);

  test("B2: 50 clients that never read their answers are cut off in time, and little is held for them", async () => {
    const before = await rssOf(daemon.daemon.child.pid ?? 0);
    const answered = await callsOf();
    // One block for all: fifty would not always fit into the memory of the task.
    const sockets = Array.from({ length: 50 }, () => {
      const socket = send("response.end(globalThis.block ??= Buffer.alloc(8 << 20))");
      socket.pause();
      return socket;
    });
    await poll("50 calls have begun", async () => {
      const calls = await callsOf();
      return calls === answered + 50 || `${calls - answered}`;
    });
    // A call whose client is cut off goes on to its end, and its answer is dropped.
    await running(0, 60_000);
    expect((await rssOf(daemon.daemon.child.pid ?? 0)) - before).toBeLessThan(50 * MEBIBYTE);
    for (const socket of sockets) {
      const closed = new Promise((resolve) => socket.once("close", resolve));
      let bytes = 0;
      socket.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      socket.resume();
      await closed;
      expect(bytes).toBeLessThan(8 * MEBIBYTE);
    }
  }, 240_000);

  test("B2: a task that dies before answers that nobody reads ends their calls, although its network goes with it", async () => {
    // More than the kernel holds, so that the end of the connections is never sent.
    const script = `globalThis.piece ??= Buffer.alloc(1 << 20);
    for (let at = 0; at < 64; at += 1) {
      globalThis.sent = (globalThis.sent ?? 0) + 1;
      if (!response.write(globalThis.piece)) await new Promise((resolve) => response.once("drain", resolve));
    }
    response.end()`;
    const sockets = Array.from({ length: 5 }, () => {
      const socket = send(script);
      socket.pause();
      return socket;
    });
    let sent = "";
    let quietLooks = 0;
    await poll("its answers have come to a stop", async () => {
      const { text } = await call("return String(globalThis.sent ?? '')");
      quietLooks = text === sent && text !== "" ? quietLooks + 1 : 0;
      sent = text;
      return quietLooks === 10 || text;
    });
    for (const pid of await host.taskProcesses()) process.kill(pid, "SIGKILL");
    const [reader] = sockets;
    reader?.resume();
    if (reader !== undefined) await once(reader, "close");
    await running(0, 60_000);
    for (const socket of sockets) socket.destroy();
    expect((await call("return 'next'")).text).toBe("next");
  }, 240_000);

  test("B3: a caller that leaves is dropped from the queue, does not stop the start that others share, and leaves a running call to finish or to be ended, as configured", async () => {
    // Running, and finished all the same: the slot comes back by itself.
    const quitting = new AbortController();
    const script = `${WAITS} globalThis.finished = (globalThis.finished ?? 0) + 1; return 'late'`;
    const quit = call(script, { signal: quitting.signal });
    await running(1);
    const { sandboxId } = await call("return 'meanwhile'");
    quitting.abort();
    expect((await quit).status).toBe(0);
    expect((await call(OPENS)).text).toBe("open");
    await running(0);
    const after = await call("return String(globalThis.finished)");
    expect([after.text, after.sandboxId]).toEqual(["1", sandboxId]);
    // Running, and given up with its sandbox.
    await daemon.caller.configure({ "tasks.on_disconnect": "cancel" });
    const leaving = new AbortController();
    const left = call("await sleep(60000)", { signal: leaving.signal });
    await running(1);
    leaving.abort();
    await left;
    await running(0);
    const next = await call("return 'next'");
    expect([next.text, next.sandboxId === sandboxId]).toEqual(["next", false]);
    await daemon.caller.configure({ "tasks.on_disconnect": "finish" });
    // During a start that somebody else waits for as well.
    const starter = new AbortController();
    const sized = { cpu: 1, mem: 100 };
    const first = daemon.caller.call(host.late, "return 'a'", { ...sized, signal: starter.signal });
    const second = daemon.caller.call(host.late, "return 'b'", sized);
    await waiting(2);
    starter.abort();
    expect((await first).status).toBe(0);
    expect((await second).text).toBe("b");
    await daemon.caller.configure({ "tasks.queue_timeout_s": 600 });
    // In the queue: the slow task never starts within the test, and holds all the memory that there is.
    const holder = new AbortController();
    const held = daemon.caller.call(host.slow, "", { mem: 1024, signal: holder.signal });
    await poll("it starts", async () => {
      const view = await look();
      return view.reserved.memoryBytes === 1024 * MEBIBYTE || JSON.stringify(view.reserved);
    });
    const queued = new AbortController();
    const queuing = call("return 'never'", { mem: 101, signal: queued.signal });
    await waiting(2);
    queued.abort();
    expect((await queuing).status).toBe(0);
    await waiting(1);
    holder.abort();
    await held;
    await waiting(0);
    // The start goes on for whoever comes next; here nobody does.
    await daemon.caller.post("/pause");
    await daemon.caller.post("/unpause");
    await poll("nothing is booked", async () => (await look()).reserved.memoryBytes === 0 || "not yet");
    expect((await call("return 'again'")).text).toBe("again");
    await daemon.caller.configure({ "tasks.queue_timeout_s": 5 });
  }, 240_000);

  test("B9: of a burst of fifty times what fits each request is served or refused with a time to come back, and control answers at once", async () => {
    await daemon.caller.configure({ "tasks.slots": 2, "tasks.queue": 4 });
    const bursting = new Caller(daemon.daemon.baseUrl);
    let isOver = false;
    const statuses = new Map<string, number>();
    const burst = Promise.all(
      Array.from({ length: 100 }, async () => {
        while (!isOver) {
          const { status, code, headers } = await bursting.call(host.obeys, "await sleep(100); return 'x'", {
            cpu: 1,
            mem: 128,
          });
          const key = `${status} ${code}`.trim();
          statuses.set(key, (statuses.get(key) ?? 0) + 1);
          if (status === 503 && !(Number(headers["retry-after"]) > 0))
            throw new Error("no time to come back");
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }),
    );
    try {
      await probe();
      await poll("enough were served, and enough refused", () => {
        const [served = 0, refused = 0] = ["200", "503 QUEUE_FULL"].map((key) => statuses.get(key));
        return (served > 10 && refused > 20) || JSON.stringify([...statuses]);
      });
      expect((await daemon.caller.post("/pause")).status).toBe(200);
      expect((await daemon.caller.post("/unpause")).status).toBe(200);
    } finally {
      isOver = true;
    }
    await burst;
    expect(
      [...statuses.keys()].filter((key) => !/^(200|503 (QUEUE_FULL|QUEUE_TIMEOUT|PAUSED))$/.test(key)),
    ).toEqual([]);
    expect(bursting.answered).toBe(bursting.sent);
    expect([...statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(bursting.sent);
    await daemon.caller.configure({ "tasks.slots": 1024, "tasks.queue": 100 });
    expect((await call("return 'calm'")).text).toBe("calm");
  }, 240_000);

  /** A call over a connection of its own. */
  function send(script: string): Socket {
    const socket = connect({ host: "127.0.0.1", port: port() });
    socket.on("error", () => undefined); // a reset; `close` follows
    socket.write(
      `POST /v1/calls?image=${host.obeys}&mem=128&cpu=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${script.length}\r\n\r\n${script}`,
    );
    return socket;
  }

  const look = (): Promise<Host> => daemon.caller.get<Host>("/v1/host");

  /** Asks control a number of times while something else goes on; each time it answers. */
  async function probe(): Promise<void> {
    for (let at = 0; at < 30; at += 1) {
      const control = await daemon.caller.send("GET", at % 2 === 0 ? "/stats" : "/health");
      expect(control.status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  }

  /** Calls that the sandboxes have taken so far. */
  async function callsOf(): Promise<number> {
    const { sandboxes } = await daemon.caller.get<SandboxList>("/v1/sandboxes");
    return sandboxes.reduce((sum, { calls }) => sum + calls, 0);
  }

  async function running(count: number, deadlineMs?: number): Promise<void> {
    await poll(
      `${count} calls run`,
      async () => {
        const view = await look();
        return view.running === count || `${view.running}`;
      },
      deadlineMs,
    );
  }

  async function waiting(count: number): Promise<void> {
    await poll(`${count} calls wait`, async () => {
      const view = await look();
      return view.waiting === count || `${view.waiting}`;
    });
  }
});

/** Sends a head, then a byte now and then, until the other side ends it. */
function trickle(port: number, head: string, patienceMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: "127.0.0.1", port });
    let text = "";
    const patience = setTimeout(() => {
      socket.destroy();
      reject(new Error(`still open after ${patienceMs} ms`));
    }, patienceMs);
    socket.write(head);
    const drip = (): void => {
      if (socket.destroyed || text !== "") return;
      socket.write("x");
      setTimeout(drip, 500);
    };
    drip();
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", () => undefined); // a reset; `close` follows
    socket.on("close", () => {
      clearTimeout(patience);
      resolve(text);
    });
  });
}

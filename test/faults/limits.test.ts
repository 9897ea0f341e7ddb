import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../src/contract/v1/host.ts";
import type { SandboxList } from "../../src/contract/v1/sandboxes.ts";
import type { Answer, Caller } from "../support/caller.ts";
import { cpuMsOf, judgeAtRest, watchBooks } from "../support/judge.ts";
import { poll } from "../support/poll.ts";
import type { ProcessDaemon, ProcessHost } from "../support/process-host.ts";
import { OPENS, openProcessHost, WAITS } from "../support/process-host.ts";
import type { Random } from "../support/random.ts";
import { random } from "../support/random.ts";
import { openRawConnection } from "../support/raw-connection.ts";
import { unlessStill } from "../support/unless-still.ts";

const SEED = Number(process.env["HEARTH_FAULT_SEED"] ?? 20_261_121);
const MEBIBYTE = 1_048_576;
/** Bounds of the matrix are for a quiet machine; this one may be three times slower. */
const SLACK = 3;
/** How long the calls of E2 run; while a daemon is paused nothing can tell them to end. */
const SLEEP_MS = 8000;
const SLEEPS = `await sleep(${SLEEP_MS});`;
/** That of a daemon which was told nothing else. */
const PAUSE_WAIT_MS = 30_000;

/** Changes of limits, and requests at their edges; the driver does not matter here, so tasks are processes. */
describe("configuration and reservations", () => {
  let host: ProcessHost;
  let daemon: ProcessDaemon;

  beforeAll(async () => {
    host = await openProcessHost();
    daemon = await host.start();
  }, 180_000);
  afterAll(async () => {
    // Whatever is judged, all of it ends.
    await using _host = host;
    await using _daemon = daemon;
    await judgeAtRest(daemon);
    expect(await daemon.daemon.end("SIGTERM")).toBe(0);
    expect(await host.taskProcesses()).toEqual([]);
  }, 180_000);

  const call = (script: string, options: Parameters<Caller["call"]>[2] = {}): Promise<Answer> =>
    daemon.caller.call(host.obeys, script, { cpu: 0.4, mem: 128, ...options });
  const look = (): Promise<Host> => daemon.caller.get<Host>("/v1/host");
  const settings = async (): Promise<string> => JSON.stringify(await daemon.caller.get("/v1/config"));
  /** @param isTooLate whether there is no hope of it any more; then that is all. */
  const counts = async (
    running: number,
    waiting: number,
    isTooLate: () => boolean = () => false,
  ): Promise<void> =>
    await poll(`${running} run, ${waiting} wait`, async () => {
      const view = await look();
      const isSo = view.running === running && view.waiting === waiting;
      return isSo || isTooLate() || `${view.running} and ${view.waiting}`;
    });

  test("E1: the contract's update-config is refused while not paused, and changes nothing", async () => {
    const before = await settings();
    const inFlight = call(`${WAITS} return 'done'`);
    await counts(1, 0);
    const { status, text } = await daemon.caller.post("/update-config", { timeout: 9, cpu: 1, mem: 512 });
    expect([status, JSON.parse(text)]).toEqual([
      200,
      { success: false, msg: expect.stringContaining("pause") },
    ]);
    expect(await settings()).toBe(before);
    expect((await call(OPENS)).text).toBe("open");
    expect((await inFlight).text).toBe("done");
  });

  test("E2: a pause in the midst of a burst lets running calls finish, refuses the waiting and the new, and answers when all is quiet, or with a count", async () => {
    await daemon.caller.configure({ "tasks.slots": 2 });
    await unlessStill(async () => {
      const startedAtMs = performance.now();
      const hasTaken = (ms: number): boolean => performance.now() - startedAtMs > ms;
      const mayHaveEnded = (): boolean => hasTaken(SLEEP_MS);
      const running = ["a", "b"].map((text) => call(`${SLEEPS} return '${text}'`));
      await counts(2, 0, mayHaveEnded);
      const waiting = Array.from({ length: 5 }, () => call("return 'c'"));
      await counts(2, 5, mayHaveEnded);
      const paused = daemon.caller.post("/pause");
      const refused = await Promise.all(waiting);
      const late = await call("return 'd'");
      const stats = await daemon.caller.send("GET", "/stats");
      const wasLate = mayHaveEnded();
      const answers = await Promise.all(running);
      const { text } = await paused;
      const wasStill = wasLate || hasTaken(PAUSE_WAIT_MS);
      const quiet = await look();
      await daemon.caller.post("/unpause");
      if (wasStill) return undefined;
      for (const { status, code } of refused) expect([status, code]).toEqual([503, "PAUSED"]);
      expect([late.status, late.code, Number(late.headers["retry-after"]) > 0]).toEqual([
        503,
        "PAUSED",
        true,
      ]);
      expect(JSON.parse(stats.text)).toMatchObject({ success: false });
      expect(answers.map((answer) => answer.text)).toEqual(["a", "b"]);
      expect(JSON.parse(text)).toMatchObject({ success: true, running: 0 });
      expect(quiet).toMatchObject({ state: "paused", sandboxes: 0, running: 0 });
      return true;
    });

    await daemon.caller.configure({ pause_wait_s: 0.3 });
    await unlessStill(async () => {
      const startedAtMs = performance.now();
      const mayHaveEnded = (): boolean => performance.now() - startedAtMs > SLEEP_MS;
      const stuck = call(`${SLEEPS} return 'e'`);
      await counts(1, 0, mayHaveEnded);
      const paused = await daemon.caller.post("/pause");
      const wasStill = mayHaveEnded();
      const { text } = await stuck;
      if (wasStill) {
        await daemon.caller.post("/unpause");
        return undefined;
      }
      expect(JSON.parse(paused.text)).toMatchObject({ success: true, running: 1 });
      expect(text).toBe("e");
      return true;
    });
    await daemon.caller.configure({ pause_wait_s: 30, "tasks.slots": 1024 });
    expect(JSON.parse((await daemon.caller.post("/pause")).text)).toMatchObject({
      success: true,
      running: 0,
    });
    await daemon.caller.post("/unpause");
    expect((await call("return 'again'")).text).toBe("again");
  }, 180_000);

  test("E3: limits below what is held are taken at once: idle sandboxes go, the busy one finishes, nothing above them is admitted", async () => {
    for (const mem of [128, 129, 130]) expect((await call("return 'warm'", { mem })).text).toBe("warm");
    const busy = call(`${WAITS} return 'finished'`, { mem: 131 });
    await counts(1, 0);
    await daemon.caller.configure({ mem: 140 });
    await poll("the limit is reached", async () => {
      const { reserved, capacity } = await look();
      return reserved.memoryBytes <= capacity.memoryBytes || `${reserved.memoryBytes}`;
    });
    const { sandboxes } = await daemon.caller.get<SandboxList>("/v1/sandboxes");
    expect(
      sandboxes.filter(({ tier }) => tier !== "stopping").map(({ resources }) => resources.memoryBytes),
    ).toEqual([131 * MEBIBYTE]);
    const above = await call("return 'no'", { mem: 141 });
    expect([above.status, above.code]).toEqual([422, "RESOURCES_EXCEED_LIMIT"]);
    const within = call("return 'after the busy one'", { mem: 132 });
    await counts(1, 1);
    expect((await call(OPENS, { mem: 131 })).text).toBe("open");
    expect((await busy).text).toBe("finished");
    expect((await within).text).toBe("after the busy one");
    await daemon.caller.configure({ mem: 1024 });
  }, 180_000);

  test("E4: no wrong value, unknown key, wrong type or half a body changes anything", async () => {
    const before = await settings();
    const dice = random(SEED);
    const headers = { "content-type": "application/json" };
    await daemon.caller.post("/pause");
    for (let round = 0; round < 500; round += 1) {
      const old = wrongUpdate(dice);
      const legacy = await daemon.caller.send("POST", "/update-config", old, undefined, headers);
      expect([legacy.status, JSON.parse(legacy.text)], old).toEqual([
        400,
        { success: false, msg: expect.any(String) },
      ]);
      const fresh = wrongPatch(dice);
      const patched = await daemon.caller.send("PATCH", "/v1/config", fresh, undefined, headers);
      expect(patched.status, fresh).toBe(400);
    }
    for (const path of ["POST /update-config", "PATCH /v1/config"]) {
      await using half = await openRawConnection(Number(new URL(daemon.daemon.baseUrl).port));
      half.write(
        `${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"mem": 512,`,
      );
      half.socket.end();
      await half.closed();
    }
    await daemon.caller.post("/unpause");
    expect(await settings()).toBe(before);
    expect((await call("return 'well'")).text).toBe("well");
  }, 180_000);

  test("E6: sizes at and beyond every edge are refused naming what is wrong, and nothing is started for them", async () => {
    const query: readonly (readonly [string, number])[] = [
      ["mem=0", 400],
      ["mem=1", 400],
      ["mem=5", 400],
      ["mem=6.5", 400],
      ["mem=-1", 400],
      ["mem=NaN", 400],
      ["mem=9007199254740992", 400],
      ["mem=99999999", 422],
      ["cpu=0", 400],
      ["cpu=0.05", 400],
      ["cpu=-1", 400],
      ["cpu=1e3", 400],
      ["cpu=1000", 422],
      ["cpu=Infinity", 400],
      ["gpus=1", 422],
      ["gpus=-1", 400],
    ];
    for (const [part, wanted] of query) {
      const answer = await daemon.caller.send("POST", `/v1/calls?image=${host.obeys}&${part}`, "return 'no'");
      expect([part, answer.status]).toEqual([part, wanted]);
      expect(answer.problem?.detail).toMatch(/mem|cpu|gpu/i);
    }
    const legacy: readonly Readonly<Record<string, unknown>>[] = [
      { mem: -1 },
      { mem: 1.5 },
      { mem: 2 ** 53 },
      { mem: "1" },
      { cpu: 0.05 },
      { cpu: -1 },
      { cpu: 1000 },
      { use_gpu: true },
      { gpu_count: 2 },
    ];
    for (const resource of legacy) {
      const answer = await daemon.caller.post("/", { id: host.obeys, resource, input: "return 'no'" });
      expect([resource, answer.status === 200 ? JSON.parse(answer.text) : answer.status]).toEqual([
        resource,
        isMeaningless(resource) ? 400 : { success: false, msg: expect.stringMatching(/mem|cpu|gpu/i) },
      ]);
      expect(answer.text).toMatch(/mem|cpu|gpu/i);
    }
    const both0 = await daemon.caller.post("/", {
      id: host.obeys,
      resource: { cpu: 0, mem: 0 },
      input: "return 'yes'",
    });
    expect(JSON.parse(both0.text)).toEqual({ success: true, msg: "yes" });
  });

  test("E6: of 200 that ask at once for the last room exactly one gets it; the others wait without spinning, or are told to come back", async () => {
    const books = watchBooks(daemon);
    await daemon.caller.post("/pause");
    await daemon.caller.post("/unpause");
    let ended = 0;
    const asks = Array.from({ length: 200 }, async (_, at) => {
      const script = "await sleep(30_000); return 'mine'";
      const answer = await call(script, { cpu: 2, mem: 100 + at, queueTimeoutMs: 15_000 });
      ended += 1;
      return answer;
    });
    const untilEnded = (count: number): Promise<void> =>
      poll(`${count} are answered`, () => ended >= count || `${ended}`);
    await untilEnded(99);
    await counts(1, 100);
    // Nobody asks for anything while its CPU time is taken.
    await books.stop();
    const pid = daemon.daemon.child.pid ?? 0;
    const [startedAtMs, startedCpuMs] = [performance.now(), await cpuMsOf(pid)];
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const share = ((await cpuMsOf(pid)) - startedCpuMs) / (performance.now() - startedAtMs);
    const after = watchBooks(daemon);
    const outcomes = (await Promise.all(asks)).map(({ status, code, text }) =>
      status === 200 ? text : `${status} ${code}`,
    );
    const count = (outcome: string): number => outcomes.filter((one) => one === outcome).length;
    expect([count("mine"), count("503 QUEUE_TIMEOUT"), count("503 QUEUE_FULL")]).toEqual([1, 100, 99]);
    expect(share).toBeLessThan(0.05 * SLACK);
    await after.stop();
  }, 180_000);
});

/** What no host could do; the others only this one cannot. */
function isMeaningless({ mem, cpu }: Readonly<Record<string, unknown>>): boolean {
  return mem !== undefined || (cpu !== undefined && cpu !== 1000);
}

const WRONG = [-1, 0, 1.5, 2 ** 60, "1", "", null, [], {}, true, "9e9"] as const;

/** A body of the contract's update-config with at least one wrong value, or cut short. */
function wrongUpdate(dice: Random): string {
  const key = dice.pick(["timeout", "cpu", "mem", "microVM_runtime"] as const);
  const wrong = dice.pick(WRONG.filter((value) => !isFine(key, value)));
  const text = JSON.stringify({ timeout: 2, cpu: 1, mem: 512, [key]: wrong });
  return dice.isOneIn(5) ? text.slice(0, 1 + dice.int(text.length - 1)) : text;
}

function isFine(key: string, value: unknown): boolean {
  if (key === "microVM_runtime") return typeof value === "string";
  return key === "cpu" && value === 1.5;
}

/** A patch that is wrong in one place, and right in others. */
function wrongPatch(dice: Random): string {
  const wrong = dice.pick([
    { mem: "much" },
    { mem: -5 },
    { mem: 1.5 },
    { cpu: 0 },
    { cpu: null },
    { "tasks.slots": 0 },
    { "tasks.slots": "many" },
    { tasks: { slots: { deep: { deeper: { deepest: 1 } } } } },
    { tasks: [] },
    { no_such_key: 1 },
    { "tasks.no_such_key": 1 },
    { "http.port": 1 },
    { state_dir: "/tmp" },
    { "tasks.on_disconnect": "explode" },
    { "log.level": 7 },
    JSON.parse('{"__proto__": {"mem": 1}, "constructor": 1}') as object,
  ]);
  const text = JSON.stringify({ timeout: 7, "tasks.queue": 5, ...wrong });
  return dice.isOneIn(5) ? text.slice(0, 1 + dice.int(text.length - 1)) : text;
}

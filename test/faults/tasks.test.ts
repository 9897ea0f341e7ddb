import { connect, createServer } from "node:net";
import { statfs } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SandboxList } from "../../src/contract/v1/sandboxes.ts";
import type { FaultDaemon, FaultHost } from "../support/fault-host.ts";
import { dieBy, endWith, openFaultHost } from "../support/fault-host.ts";
import type { Baseline } from "../support/judge.ts";
import { baselineOf, judgeAtRest, rssOf, watchBooks } from "../support/judge.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const MEBIBYTE = 1_048_576;
/** Bounds of the matrix are for a quiet machine; this one may be three times slower. */
const SLACK = 3;

describe.skipIf(reason !== undefined)(reason ?? "tasks that misbehave, on Docker", () => {
  let host: FaultHost;
  let daemon: FaultDaemon;
  let baseline: Baseline;
  let books: ReturnType<typeof watchBooks>;
  let neighbour: string;

  beforeAll(async () => {
    host = await openFaultHost();
    daemon = await host.start({
      config: `tasks: {stop_grace_s: 2, refresh_images: false, start_timeout_s: 12, sandboxes_per_task: 1}
http: {answer_bytes: 33554432}`,
    });
    neighbour = await host.image("neighbour", SERVES);
    expect((await daemon.caller.call(neighbour, "body=hello")).text).toBe("hello");
    expect((await daemon.caller.call(host.obeys, "body=hello")).text).toBe("hello");
    baseline = await baselineOf(daemon.daemon);
    books = watchBooks(daemon.caller);
  }, 120_000);
  afterAll(async () => {
    await books.stop();
    await judgeAtRest(daemon, baseline);
    await daemon[Symbol.asyncDispose]();
    expect(await host.remainsOf(daemon.owner)).toEqual([]);
    await host[Symbol.asyncDispose]();
  }, 90_000);

  const call: FaultDaemon["caller"]["call"] = (...args) => daemon.caller.call(...args);
  const neighbourIsWell = async (): Promise<void> => {
    const answer = await call(neighbour, "body=well");
    expect([answer.status, answer.text, answer.start]).toEqual([200, "well", "warm"]);
  };
  const list = async (): Promise<SandboxList["sandboxes"]> =>
    (await daemon.caller.get<SandboxList>("/v1/sandboxes")).sandboxes;

  test("D1: a program that allocates past its limit ends as out of memory, with the limit, and is replaced", async () => {
    const before = await call(host.obeys, "body=1");
    const eaten = await call(host.obeys, "tail /dev/zero >/dev/null; kill -KILL $(cat /tmp/main); sleep 60");
    expect([eaten.status, eaten.code]).toEqual([502, "TASK_OUT_OF_MEMORY"]);
    expect(eaten.problem?.facts["limitBytes"]).toBe(32 * MEBIBYTE);
    const after = await call(host.obeys, "body=2");
    expect([after.status, after.text]).toEqual([200, "2"]);
    expect(after.sandboxId).not.toBe(before.sandboxId);
    await neighbourIsWell();
  });

  test("D3: a handler that sleeps for ever, and one whose container somebody froze, end at their deadline and are not used again", async () => {
    for (const freezes of [false, true]) {
      const before = await call(host.obeys, "body=1");
      if (freezes) {
        const label = (await list()).find(({ id }) => id === before.sandboxId)?.label ?? "";
        await host.docker.getContainer(label).pause();
      }
      const slept = await call(host.obeys, "sleep 600", { runTimeoutMs: 1500 });
      expect([slept.status, slept.code]).toEqual([504, "RUN_TIMEOUT"]);
      expect(slept.ms).toBeLessThan(1500 + 1000 * SLACK);
      const after = await call(host.obeys, "body=2");
      expect([after.status, after.text]).toEqual([200, "2"]);
      expect(after.sandboxId).not.toBe(before.sandboxId);
    }
    await neighbourIsWell();
  });

  test("D4: a port that never opens, or opens and closes, ends the start in time with the log's tail; a late one works", async () => {
    const serve = "nc -ll -p 8080 -e /handler";
    const [never, shut, late] = await Promise.all([
      host.image("neveropens", "echo no port here; echo meca-init-done; exec sleep 1000"),
      host.image("opensandcloses", `${serve} & sleep 0.3; kill $!; echo gone again; exec sleep 1000`),
      host.image("opensafter9s", `echo meca-init-done; sleep 9; exec ${serve}`),
    ]);
    const [a, b, c] = await Promise.all([call(never, "body=1"), call(shut, "body=1"), call(late, "body=late")]);
    for (const answer of [a, b]) {
      expect([answer.status, answer.code]).toEqual([504, "START_TIMEOUT"]);
      expect(answer.ms).toBeLessThan(12_000 + 2000 * SLACK);
    }
    expect(a.problem?.facts["logTail"]).toContain("no port here");
    expect(b.problem?.facts["logTail"]).toContain("gone again");
    expect([c.status, c.text]).toEqual([200, "late"]);
    await neighbourIsWell();
  }, 60_000);

  test("D5: every way to end, before and during a call, is told by its code or signal at once", async () => {
    const codes = [0, 1, 42, 126, 127];
    for (const code of codes) {
      expect((await call(host.obeys, "body=warm")).status).toBe(200);
      const during = await call(host.obeys, endWith(code));
      expect([during.status, during.code, during.problem?.facts["exitCode"]]).toEqual([502, "TASK_EXITED", code]);
      expect(during.ms).toBeLessThan(1000 * SLACK);
    }
    for (const signal of ["SEGV", "KILL"]) {
      expect((await call(host.obeys, "body=warm")).status).toBe(200);
      const during = await call(host.obeys, dieBy(signal));
      expect([during.status, during.code, during.problem?.facts["signal"]]).toEqual([502, "TASK_EXITED", `SIG${signal}`]);
      expect(during.ms).toBeLessThan(1000 * SLACK);
    }
    const early = await Promise.all(
      [0, 1, 42].map(async (code) => await call(await host.image(`ends${code}`, `echo so ${code}; exit ${code}`), "")),
    );
    expect(early.map(({ status, code, problem }) => [status, code, problem?.facts["exitCode"]])).toEqual(
      [0, 1, 42].map((code) => [502, "SANDBOX_EXITED_EARLY", code]),
    );
    expect(early.map(({ problem }) => problem?.facts["logTail"])).toEqual(["so 0\n", "so 1\n", "so 42\n"]);
    const unusable = await Promise.all(
      [126, 127].map(async (code) => await call(await host.image(`ends${code}`, `exit ${code}`), "")),
    );
    expect(unusable.map(({ status, code }) => [status, code])).toEqual([[502, "IMAGE_UNUSABLE"], [502, "IMAGE_UNUSABLE"]]);
    const segv = await call(await host.image("endsbysegv", "kill -SEGV $$"), "");
    expect([segv.status, segv.code, segv.problem?.facts["signal"]]).toEqual([502, "SANDBOX_EXITED_EARLY", "SIGSEGV"]);
    await neighbourIsWell();
  }, 60_000);
});

const SERVES = `nc -ll -p 8080 -e /handler & server=$!; echo $server > /tmp/server
until nc -w 1 127.0.0.1 8080 </dev/null >/dev/null 2>&1; do sleep 0.01; done; echo meca-init-done; wait $server`;

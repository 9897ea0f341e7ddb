import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AttemptEntry } from "../../src/core/index.ts";
import { countersOf } from "../support/cgroup-counters.ts";
import { makeTaskFolders } from "../support/echo-tasks.ts";
import type { Exposition } from "../support/exposition.ts";
import { scrape } from "../support/exposition.ts";
import { buildTaskImage } from "../support/images.ts";
import type { TaskReply } from "../support/legacy-call.ts";
import { ask, call } from "../support/legacy-call.ts";
import type { HostedDaemon, TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import { chainOf, receiptOf, sumOfPhases, verify } from "../support/receipts.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

const reason = whyNoEngine();
/** The row's bounds. */
const PHASES_WITHIN_US = 5000;
const COUNTERS_WITHIN = 0.02;
const MEGABYTE = 1_048_576;

/** `burn N` counts to N in the shell, `fill N` holds so many bytes for a moment; the answer is the input. */
const WORKER = {
  main: `nc -ll -p 8080 -e /handler & server=$!
until nc -w 1 127.0.0.1 8080 </dev/null >/dev/null 2>&1; do sleep 0.01; done; echo meca-init-done; wait $server`,
  reply: `case "$body" in
  "burn "*) i=0; end=\${body#burn }; while [ $i -lt $end ]; do i=$((i+1)); done ;;
  "fill "*) head -c "\${body#fill }" /dev/zero > /tmp/filled; rm /tmp/filled ;;
esac`,
};

async function entryOf(daemon: Daemon, reply: TaskReply): Promise<AttemptEntry> {
  return (await receiptOf(daemon, reply.headers.get("hearth-run-id"))).entry;
}

/**
 * A call, and how long it took by the executor's own count, which is told beside the chain: the chain keeps the phases, and its
 * `wallUs` is their sum.
 */
async function timedCall(
  daemon: Daemon,
  image: string,
  input: string,
): Promise<readonly [TaskReply, number]> {
  const counted = async (): Promise<Exposition> => await scrape(daemon.monitorUrl);
  const before = await counted();
  const reply = await call(daemon, image, input);
  let after = await counted();
  const calls = (at: Exposition): number => at.sum("hearth_call_duration_seconds_count");
  await poll("the call is counted", async () => {
    after = await counted();
    return calls(after) === calls(before) + 1 || String(calls(after));
  });
  const name = "hearth_call_duration_seconds_sum";
  return [reply, (after.sum(name) - before.sum(name)) * 1e6];
}

/** What holds for every attempt that a caller saw from outside. */
function expectWhole(entry: AttemptEntry, reply: TaskReply): void {
  expect(Math.abs(sumOfPhases(entry) - entry.wallUs)).toBeLessThanOrEqual(PHASES_WITHIN_US);
  // The caller waited for all of it, and for the way there and back as well.
  expect(entry.wallUs).toBeLessThanOrEqual(reply.tookMs * 1000);
}

describe.skipIf(reason !== undefined)(
  `receipts on Docker${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    let host: TestHost;
    let daemon: HostedDaemon;
    let worker: string;

    beforeAll(async () => {
      host = await openTestHost();
      worker = await buildTaskImage(host.docker, "worker", WORKER);
      daemon = await host.start({ config: "cpu: 2\nmem: 1024\n" });
    }, 180_000);
    afterAll(async () => {
      await daemon[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    });

    async function pidBehind({ sandboxId }: TaskReply): Promise<number> {
      const all = await host.containers(daemon);
      const one = all.find(({ labels }) => labels["hearth.sandbox"] === sandboxId);
      if (one === undefined) throw new Error("there is no such container");
      return (await host.docker.getContainer(one.id).inspect()).State.Pid;
    }

    test("W: a cold and a warm attempt have phases that sum to their wall time, and those of the start are the driver's own", async () => {
      const [cold, coldUs] = await timedCall(daemon, host.task, "sleep 0.3");
      const [warm, warmUs] = await timedCall(daemon, host.task, "sleep 0.2");
      const [first, second] = [await entryOf(daemon, cold), await entryOf(daemon, warm)];
      expectWhole(first, cold);
      expectWhole(second, warm);
      expect(Math.abs(sumOfPhases(first) - coldUs)).toBeLessThanOrEqual(PHASES_WITHIN_US);
      expect(Math.abs(sumOfPhases(second) - warmUs)).toBeLessThanOrEqual(PHASES_WITHIN_US);
      const { json } = await ask(daemon, `/v1/sandboxes`);
      const { sandboxes } = json as { sandboxes: { id: string; phases: Record<string, number> }[] };
      const phases = sandboxes.find(({ id }) => id === cold.sandboxId)?.phases ?? {};
      const { create = 0, start = 0, ready = 0, firstByte = 0 } = first.phasesUs;
      const ms = (phases["createMs"] ?? 0) + (phases["startMs"] ?? 0) + (phases["readyMs"] ?? 0);
      expect(Math.abs((create + start + ready) / 1000 - ms)).toBeLessThanOrEqual(5);
      expect(firstByte).toBeGreaterThanOrEqual(300_000);
      expect(second.phasesUs.create).toBeUndefined();
      expect(first).toMatchObject({
        door: "legacy",
        image: host.task,
        isolation: "container",
        start: "cold",
        sandbox: cold.sandboxId,
        outcome: "answered",
        status: 200,
        booked: { cpuMillis: 1000, memoryBytes: 128 * MEGABYTE, gpuIds: [] },
        used: { bytesIn: 9, bytesOut: 9 },
      });
      expect(first.digest).toMatch(/^sha256:/);
      expect(second.start).toBe("warm");
    });

    test("W: the CPU time and the peak memory of an attempt are its cgroup's own, within 2 %", async () => {
      const pid = await pidBehind(await call(daemon, worker, "begin"));
      for (const input of ["burn 3000000", `fill ${40 * MEGABYTE}`, "burn 2000000"]) {
        const before = countersOf(pid);
        const reply = await call(daemon, worker, input);
        const after = countersOf(pid);
        const { used } = await entryOf(daemon, reply);
        const cpuUs = after.cpuUs - before.cpuUs;
        if (input.startsWith("burn")) {
          expect(cpuUs).toBeGreaterThan(200_000);
          expect(used.reading).toBe("own");
          expect(Math.abs((used.cpuUs ?? 0) / cpuUs - 1), input).toBeLessThanOrEqual(COUNTERS_WITHIN);
        }
        const peakBytes = after.peakBytes ?? 0;
        if (after.peakBytes !== undefined) expect(peakBytes).toBeGreaterThan(0);
        if (input.startsWith("fill") && after.peakBytes !== undefined) {
          expect(peakBytes).toBeGreaterThan(40 * MEGABYTE);
        }
        expect(Math.abs((used.memoryPeakBytes ?? 0) - peakBytes)).toBeLessThanOrEqual(
          peakBytes * COUNTERS_WITHIN,
        );
      }
    }, 120_000);

    test("W: attempts side by side share the cgroup's CPU time, and their sum is within 2 % of it", async () => {
      const pid = await pidBehind(await call(daemon, worker, "begin"));
      const before = countersOf(pid);
      const replies = await Promise.all(
        Array.from({ length: 4 }, (_, index) => call(daemon, worker, `burn ${600_000 * (index + 1)}`)),
      );
      const after = countersOf(pid);
      const entries = await Promise.all(replies.map((reply) => entryOf(daemon, reply)));
      const sumUs = entries.reduce((sum, { used }) => sum + (used.cpuUs ?? 0), 0);
      expect(entries.some(({ used }) => used.reading === "shared")).toBe(true);
      expect(Math.abs(sumUs / (after.cpuUs - before.cpuUs) - 1)).toBeLessThanOrEqual(COUNTERS_WITHIN);
      for (const [index, entry] of entries.entries()) expectWhole(entry, replies[index] as TaskReply);
    });
  },
);

describe("receipts of processes", () => {
  test("W: attempts of both ways in have whole receipts; refused ones as well; the chain of them all is whole, and one changed byte is found", async () => {
    await using tasks = await makeTaskFolders(["a"]);
    await using daemon = await startDaemon({ env: tasks.env });
    const [cold, coldUs] = await timedCall(daemon, "a", "sleep 0.1");
    const first = await entryOf(daemon, cold);
    expectWhole(first, cold);
    expect(Math.abs(sumOfPhases(first) - coldUs)).toBeLessThanOrEqual(PHASES_WITHIN_US);
    expect(first).toMatchObject({ door: "legacy", isolation: "process", start: "cold", outcome: "answered" });
    const v1 = await fetch(`${daemon.baseUrl}/v1/calls?image=a`, { method: "POST", body: "bad eA==" });
    await v1.arrayBuffer();
    const second = (await receiptOf(daemon, v1.headers.get("hearth-run-id"))).entry;
    expect(second).toMatchObject({ door: "v1", start: "warm", outcome: "answered", status: 500 });
    const gone = await call(daemon, "no-such-task");
    expect((await entryOf(daemon, gone)).error).toBe("TASK_NOT_FOUND");
    for (let round = 0; round < 50; round += 1) await call(daemon, "a", "hello");

    const lines = await chainOf(daemon);
    expect(verify(lines)).toMatchObject({ isWhole: true, isComplete: true, isFromStart: true, attempts: 53 });
    const key = (await ask(daemon, "/v1/receipts/key")).json as { readonly publicKey: string };
    expect(verify(lines).publicKey).toBe(key.publicKey);
    const text = lines.join("\n");
    for (let at = 0; at < text.length; at += Math.ceil(text.length / 200)) {
      const byte = String.fromCharCode(text.charCodeAt(at) ^ 1);
      const changed = `${text.slice(0, at)}${byte}${text.slice(at + 1)}`;
      expect(verify(changed.split("\n")).isWhole, `byte ${at}`).toBe(false);
    }
    expect(verify(lines.slice(0, -3)).isWhole).toBe(false);
    expect(verify([...lines.slice(0, 9), ...lines.slice(12)]).isWhole).toBe(false);
    for (const file of ["receipts.key", "receipts.db"]) {
      expect((await stat(join(daemon.stateDir, file))).mode & 0o077, file).toBe(0);
    }
  });
});

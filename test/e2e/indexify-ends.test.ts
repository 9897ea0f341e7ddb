import { existsSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AttemptEntry } from "../../src/core/index.ts";
import { ContainerTerminationReason } from "../../src/gen/executor_api_pb.js";
import { parseExposition } from "../support/exposition.ts";
import type { DaemonWorld } from "../support/indexify/daemon-world.ts";
import { openDaemonWorld } from "../support/indexify/daemon-world.ts";
import { reasonOf, valueOf } from "../support/indexify/request-end.ts";
import { tensorlakeOrThrow } from "../support/indexify/tensorlake.ts";
import { poll } from "../support/poll.ts";
import { chainOf } from "../support/receipts.ts";
import { standStill } from "../support/stand-still.ts";

const SLOW_MS = 480_000;
const MEBIBYTE = 1024 * 1024;
/** Three checks of an idle worker, each of which waits for an answer, with a pause before each. */
const HUNG_MS = 180_000;

describe.skipIf(!existsSync("/usr/bin/python3"))("X10: the ends of workers, with the real worker", () => {
  let world: DaemonWorld;
  let folder: string;
  let zipPath: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hearth-indexify-code-"));
    zipPath = join(folder, "v1.zip");
    await copyFile((await tensorlakeOrThrow()).appZip, zipPath);
    world = await openDaemonWorld({ application: { zipPath, allocationTimeoutMs: 60_000 } });
  }, 400_000);
  afterAll(async () => {
    await world[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  /** The last end that the server was told, and that nothing of the container holds room. */
  async function endOf(name: string): Promise<string> {
    const { scheduler, daemon } = world;
    const found = () =>
      scheduler.terminated.findLast(({ containerId }) => containerId.startsWith(`container-${name}-`));
    await poll("the server is told", () => found() !== undefined || "not yet", HUNG_MS);
    const { containerId, reason } = found()!;
    await poll("its room is free", async () => {
      const listed = await daemon.cli("ps");
      return !listed.includes(containerId) || listed;
    });
    return ContainerTerminationReason[reason] ?? String(reason);
  }

  test(
    "code is fetched once for each version: also what is gone from the store runs",
    async () => {
      const { scheduler } = world;
      const fetches = async (): Promise<number> => {
        const { text } = await world.monitor("/monitoring/metrics");
        return parseExposition(text).value("blob_store_get_requests_total");
      };
      const atFirst = await fetches();
      expect(await valueOf(await world.call("hello", "v1"))).toBe("hello v1");
      await rm(zipPath);
      // The double reads what it describes; the daemon is told another place.
      const copy = join(folder, "described.zip");
      await copyFile((await tensorlakeOrThrow()).appZip, copy);
      scheduler.deploy({ zipPath: copy, codeUri: `file://${zipPath}` });
      expect(await valueOf(await world.call("parent_pid", ""))).toBe(world.daemon.child.pid);
      expect((await fetches()) - atFirst).toBe(1);
      const next = join(folder, "v2.zip");
      await writeFile(next, withComment(await readFile(copy)));
      scheduler.deploy({ zipPath: next, codeUri: `file://${next}`, version: "v2" });
      expect(await valueOf(await world.call("hello", "v2"))).toBe("hello v2");
      expect((await fetches()) - atFirst).toBe(2);
      expect(await world.workers()).toHaveLength(3);
    },
    SLOW_MS,
  );

  test(
    "a crash, and a constructor and a function that do not end, each have their own reason",
    async () => {
      const { scheduler } = world;
      expect(reasonOf(await world.call("crashes", ""))).toBe("FUNCTION_ERROR");
      expect(await endOf("crashes")).toBe("PROCESS_CRASH");
      scheduler.deploy({ initializationTimeoutMs: 6_000 });
      expect(reasonOf(await world.call("NeverThere.waits", ""))).toBe("STARTUP_FAILED_FUNCTION_TIMEOUT");
      expect(await endOf("NeverThere.waits")).toBe("STARTUP_FAILED_FUNCTION_TIMEOUT");
      scheduler.deploy({ initializationTimeoutMs: 60_000, allocationTimeoutMs: 2_000 });
      expect(reasonOf(await world.call("sleeps", 60))).toBe("FUNCTION_TIMEOUT");
      expect(await endOf("sleeps")).toBe("FUNCTION_TIMEOUT");
      scheduler.deploy({ allocationTimeoutMs: 60_000 });
      expect(await valueOf(await world.call("sleeps", 0.1))).toBe("slept");
    },
    SLOW_MS,
  );

  test(
    "too much memory has its own reason, and the next call has a worker again",
    async ({ skip }) => {
      expect(await valueOf(await world.call("eats", 1))).toBe(MEBIBYTE);
      const id = world.scheduler.running.find((name) => name.includes("-eats-"));
      if (!(await isHeldToMemory(await pidOf(id)))) return skip("nothing enforces memory here");
      expect(reasonOf(await world.call("eats", 1024))).toBe("OOM");
      expect(await endOf("eats")).toBe("OOM");
      expect(await valueOf(await world.call("eats", 1))).toBe(MEBIBYTE);
    },
    SLOW_MS,
  );

  test(
    "a worker that hangs while it has nothing to do is unhealthy, ended, and replaced for the next call",
    async () => {
      const { scheduler } = world;
      expect(await valueOf(await world.call("doubles_of", []))).toEqual([]);
      const id = scheduler.running.find((name) => name.includes("doubles_of"));
      const pid = await pidOf(id);
      await standStill(pid);
      expect(await endOf("doubles_of")).toBe("UNHEALTHY");
      expect(existsSync(`/proc/${pid}`)).toBe(false);
      expect(await valueOf(await world.call("doubles_of", []))).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "the daemon killed, its next life leaves no worker behind, does what was left, and keeps receipts apart",
    async () => {
      const { scheduler, daemon } = world;
      // An idle worker beside the busy one.
      expect(await valueOf(await world.call("doubles_of", []))).toEqual([]);
      const counted = world.call("counts", [join(world.blobs, "twice"), 6]);
      await world.untilCounts("twice");
      const left = await world.workers();
      expect(left.length).toBeGreaterThan(1);
      await daemon.end("SIGKILL");
      await world.startAgain();
      await poll("they are gone", async () => {
        const now = await world.workers();
        return !left.some((pid) => now.includes(pid)) || now.join();
      });
      // The first life had begun it, and could not tell how it ended.
      expect(await valueOf(await counted)).toBe(2);
      const id = scheduler.running.find((name) => name.includes("counts"))!;
      scheduler.removeContainer(id);
      await poll("it is ended", async () => !(await world.daemon.cli("ps")).includes(id) || "not yet");
      const starts = (): number => scheduler.started.filter((name) => name === id).length;
      const before = starts();
      await scheduler.addContainer(id, "counts");
      await poll("it runs again", () => starts() > before || String(before));
      scheduler.removeContainer(id);
      await poll("all are written down", async () => {
        const ids = await receiptIds();
        return ids.filter((receipt) => receipt.startsWith(`${id}~`)).length >= 2 || ids.join();
      });
      const ids = await receiptIds();
      expect(new Set(ids).size).toBe(ids.length);
      expect(scheduler.server.violations).toEqual([]);
    },
    SLOW_MS,
  );

  async function pidOf(containerId: string | undefined): Promise<number> {
    for (const pid of await world.workers()) {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8");
      if (line.includes(`--function-executor-id=${containerId}\0`)) return pid;
    }
    throw new Error(`${containerId} has no worker`);
  }

  async function receiptIds(): Promise<readonly string[]> {
    return (await chainOf(world.daemon)).flatMap((line) => {
      const { entry } = JSON.parse(line) as { readonly entry?: AttemptEntry };
      return entry?.door === "indexify" ? [entry.id] : [];
    });
  }
});

/** The same archive with another digest: its last two bytes are the length of a comment that follows. */
function withComment(zip: Buffer): Buffer {
  const changed = Buffer.concat([zip, Buffer.from("2")]);
  changed.writeUInt16LE(1, zip.length - 2);
  return changed;
}

/** Whether a worker is in a memory cgroup that this process is not in. */
async function isHeldToMemory(pid: number): Promise<boolean> {
  const cgroupOf = async (who: number | string): Promise<string> => {
    const lines = (await readFile(`/proc/${who}/cgroup`, "utf8")).trim().split("\n");
    return lines.find((line) => line.includes(":memory:")) ?? lines.at(-1) ?? "";
  };
  return (await cgroupOf(pid)) !== (await cgroupOf("self"));
}

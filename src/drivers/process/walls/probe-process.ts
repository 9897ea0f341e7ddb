import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import type { ProbeFindings, SandboxSpec, TaskSpec } from "../../../core/index.ts";
import { asId, ExecutorError, readFindings, taskKey } from "../../../core/index.ts";
import type { ProbeArchitecture } from "../../../std/index.ts";
import {
  isProbeArchitecture,
  orAbort,
  PROBE_CPU_MILLIS,
  PROBE_MEMORY_BYTES,
  probeArguments,
  probeProgram,
  withDeadline,
} from "../../../std/index.ts";
import type { FoundTask } from "../folders/task-folders.ts";
import { spawnTask } from "../task/spawn-task.ts";
import type { ProcessWorld } from "../world.ts";
import { LOOPBACK, MOST_PROCESSES } from "../world.ts";

/** Where one of the executor's own doors listens, as its socket says. */
export interface DoorAddress {
  readonly host: string;
  readonly port: number;
}

const PROBE_DEADLINE_MS = 10_000;
const LOG_BYTES = 16_384;
const MOST_HOST_ADDRESSES = 3;
/** Machines, as Node calls them. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/**
 * Runs the test program the way every task is run here, and reads what it saw. Whatever happens, nothing of it is left.
 *
 * @throws {@link ExecutorError} ENGINE_FAILED, ENGINE_UNAVAILABLE; the signal's reason.
 */
export async function runProbe(
  world: ProcessWorld,
  doors: readonly DoorAddress[],
  signal: AbortSignal,
): Promise<ProbeFindings> {
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  if (!isProbeArchitecture(architecture)) {
    throw new ExecutorError("ENGINE_FAILED", { reason: `there is no test program for ${architecture}` });
  }
  const name = `probe-${randomBytes(6).toString("hex")}`;
  const folder = join(world.probes, name);
  const copy = writeProgram(folder, architecture);
  world.probing.add(name);
  try {
    const targets = targetsOf(world, doors);
    const all = probeArguments(
      { ...(copy === undefined ? {} : { setuidCopy: copy }), targets },
      MOST_PROCESSES,
    );
    return await runOnce(world, name, folder, all, signal);
  } finally {
    world.probing.delete(name);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runOnce(
  world: ProcessWorld,
  name: string,
  folder: string,
  questions: readonly string[],
  signal: AbortSignal,
): Promise<ProbeFindings> {
  const facts = { reason: `a test process did not end within ${PROBE_DEADLINE_MS / 1000} s` };
  const deadline = { ms: PROBE_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", facts, parent: signal } as const;
  return await withDeadline(deadline, async (within) => {
    const task: FoundTask["task"] = {
      id: name,
      mode: "call",
      command: ["./probe", ...questions],
      ready: "port",
      env: {},
    };
    const { running, launched } = await spawnTask(world, specOf(name), { folder, task });
    try {
      await orAbort(running.ended, within);
    } finally {
      await running.stop(0);
    }
    return readFindings(launched.ring.tail(LOG_BYTES).text);
  });
}

/** @returns the path of a setuid copy; `undefined` where this daemon could only make one of its own uid, which proves nothing. */
function writeProgram(folder: string, architecture: ProbeArchitecture): string | undefined {
  const content = probeProgram(architecture);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, "probe"), content);
  chmodSync(join(folder, "probe"), 0o755);
  if (process.getuid?.() !== 0) return undefined;
  writeFileSync(join(folder, "gain"), content);
  chmodSync(join(folder, "gain"), 0o4755);
  return "./gain";
}

function specOf(name: string): SandboxSpec {
  const task: TaskSpec = {
    image: name,
    isolation: "default",
    resources: {
      cpuMillis: PROBE_CPU_MILLIS,
      memoryBytes: PROBE_MEMORY_BYTES,
      gpuCount: 0,
      gpuMemoryBytes: 0,
    },
    sgx: false,
    network: "default",
  };
  return {
    sandboxId: asId<"sandbox">(name),
    taskKey: taskKey(task),
    task,
    image: { digest: name, wasPulled: false },
    gpuIds: [],
    startTimeoutMs: PROBE_DEADLINE_MS,
  };
}

/** On the host's network a task looks on loopback; in one of its own it looks for the host's addresses. */
function targetsOf({ networks }: ProcessWorld, doors: readonly DoorAddress[]): readonly string[] {
  const own = hostAddresses();
  const found = doors.flatMap(({ host, port }) => {
    const isWild = host === "0.0.0.0" || host === "::" || host === "";
    const addresses = isWild ? own : /^\d+(\.\d+){3}$/.test(host) ? [host] : [];
    const near = networks === undefined ? [LOOPBACK, ...addresses] : addresses;
    return near
      .filter((address) => networks === undefined || !address.startsWith("127."))
      .map((address) => `${address}:${port}`);
  });
  return [...new Set(found)];
}

function hostAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === "IPv4" && !internal)
    .map(({ address }) => address)
    .slice(0, MOST_HOST_ADDRESSES);
}

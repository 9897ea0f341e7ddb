import type { JobLeftover, JobSandbox } from "../../../core/index.ts";
import { asId } from "../../../core/index.ts";
import { systemClock } from "../../../std/index.ts";
import { unseenEnd } from "../container/deaths.ts";
import type { JobLabels } from "../container/labels.ts";
import { readJobLabels, readSandboxId } from "../container/labels.ts";
import { proveClass } from "../container/prove-class.ts";
import { removeContainer } from "../container/remove.ts";
import type { ContainerRow } from "../engine/containers.ts";
import { toExecutorError } from "../engine/engine-error.ts";
import type { LeftRoom, LeftThings } from "../left-room.ts";
import { claimRoom, findRoom, notWhole, removeRoomOf, wholeNetwork } from "../left-room.ts";
import type { World } from "../world.ts";
import { DockerJob } from "./docker-job.ts";
import { jobParts } from "./job-parts.ts";

/** What a job of an earlier life runs in. One that does not say what it is still has a network to be removed. */
export function roomOfJob(world: World, row: ContainerRow, left: LeftThings): LeftRoom {
  const task = readJobLabels(row.labels)?.task ?? NO_TASK;
  return findRoom(world, row, task, left);
}

const NO_TASK = {
  image: "",
  isolation: "default",
  resources: { cpuMillis: 0, memoryBytes: 0, gpuCount: 0, gpuMemoryBytes: 0 },
  sgx: false,
  network: "default",
} as const;

export function toJobLeftover(world: World, row: ContainerRow, left: LeftThings): JobLeftover {
  const labels = readJobLabels(row.labels);
  const room = roomOfJob(world, row, left);
  return {
    sandboxId: readSandboxId(row.labels) ?? asId<"sandbox">(row.id),
    mark: labels?.mark,
    task: labels?.task,
    imageDigest: labels?.imageDigest ?? "",
    gpuIds: labels?.gpuIds ?? [],
    async adopt(signal) {
      if (labels === undefined) throw notWhole("its labels do not say what it is");
      return await adopt(world, row, labels, room, signal);
    },
    async reap(signal) {
      signal.throwIfAborted();
      try {
        await removeContainer(world.engine, row.id);
      } catch (thrown) {
        throw toExecutorError(thrown);
      }
      removeRoomOf(world, row, room);
      // What it wrote is for its door to remove.
      if (labels !== undefined) await world.files.take(labels.workDir);
    },
  };
}

/** One that runs must be in the network and class that it would get now; of one that has ended only the end counts. */
async function adopt(
  world: World,
  row: ContainerRow,
  labels: JobLabels,
  room: LeftRoom,
  signal: AbortSignal,
): Promise<JobSandbox> {
  const { engine, deaths } = world;
  signal.throwIfAborted();
  const { memoryBytes } = labels.task.resources;
  const watch = deaths.watch(row.id, memoryBytes);
  try {
    const facts = await engine.containers.inspect(row.id, { signal });
    if (facts.status === "created") throw notWhole("it was never started");
    if (facts.isRunning) {
      wholeNetwork(row, room);
      await proveClass(world, labels, facts.runtime, signal);
    }
    signal.throwIfAborted();
    claimRoom(world, row, room);
    const end = facts.isRunning
      ? watch.ended
      : Promise.resolve(await unseenEnd(engine, facts, memoryBytes, signal));
    const { sandboxId, mark, task, gpuIds, workDir, imageDigest, isolation } = labels;
    const startedAtMs = Number.isFinite(facts.startedAtMs) ? facts.startedAtMs : systemClock.wallMs();
    const own = { containerId: row.id, label: row.name, imageDigest, isolation, startedAtMs };
    const parts = jobParts(
      world,
      { sandboxId, mark, task, gpuIds, workDir },
      {
        ...own,
        watch: { ended: end, forget: () => watch.forget() },
        // Its network was made by another life, perhaps by other rules: it serves nobody else.
        onRemoved: () => removeRoomOf(world, row, room),
      },
    );
    return new DockerJob(engine, parts);
  } catch (thrown) {
    watch.forget();
    signal.throwIfAborted();
    throw toExecutorError(thrown);
  }
}

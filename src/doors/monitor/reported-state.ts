import { createHash } from "node:crypto";
import { arch, hostname, release, type } from "node:os";
import type { HostDisk } from "../../core/index.ts";
import type { ExecutorView } from "../../engine/executor.ts";
import type { ServerLink, ServerWork } from "./door-options.ts";
import { workLines } from "./server-work.ts";

/** What does not change while the daemon runs. */
export interface Identity {
  /** Names this host: as its Indexify server knows it, or, without one, its owner's. */
  readonly executorId: string;
  /** Names this daemon over all of its lives; all that it makes carries it. */
  readonly ownerId: string;
  readonly version: string;
  /** `container` in our image. */
  readonly environment: "host" | "container";
}

/** What this host says of itself. Flat: each is a line of the text and a key of the JSON. */
export type ReportedState = Readonly<Record<string, string | number>>;

/** Before there is anything that stays (`contracts/indexify.md` section 9.1). */
export const NOTHING_REPORTED = "No state reported so far";

/**
 * What this host has and what of it is free for tasks. `state_hash` is that of everything but the time: it stays while the
 * content does, also over a restart. Free is what the books have left, not what the host happens to use at this moment:
 * disks fill by themselves, too.
 *
 * @param isolation the classes that this host reaches, also while they are being tested anew.
 */
export function reportedState(
  identity: Identity,
  view: ExecutorView,
  isolation: ExecutorView["capabilities"]["isolation"],
  disk: HostDisk | undefined,
  wallMs: number,
): ReportedState {
  const { capacity, reserved } = view;
  const content = {
    executor_id: identity.executorId,
    owner_id: identity.ownerId,
    hostname: hostname(),
    version: identity.version,
    environment: identity.environment,
    driver: view.driver,
    isolation: isolation.join(","),
    os: `${type()} ${release()}`,
    cpu_architecture: arch(),
    state: view.state,
    host_cpu_cores: view.host.cpuMillis / 1000,
    host_memory_bytes: view.host.memoryBytes,
    total_cpu_cores: capacity.cpuMillis / 1000,
    total_memory_bytes: capacity.memoryBytes,
    total_gpus: capacity.gpuCount,
    free_cpu_cores: (capacity.cpuMillis - reserved.cpuMillis) / 1000,
    free_memory_bytes: capacity.memoryBytes - reserved.memoryBytes,
    free_gpus: capacity.gpuCount - reserved.gpuCount,
    ...bookedDisk(disk),
    ...gpuFault(view),
  };
  return {
    ...content,
    state_hash: createHash("sha256").update(JSON.stringify(content)).digest("hex"),
    system_time: new Date(wallMs).toISOString(),
  };
}

/** No line where the file system does not tell. */
function bookedDisk(disk: HostDisk | undefined): ReportedState {
  if (disk === undefined) return {};
  return {
    host_disk_bytes: disk.totalBytes,
    total_disk_bytes: disk.capacityBytes,
    free_disk_bytes: Math.max(0, disk.capacityBytes - disk.reservedBytes()),
  };
}

/** Why cards that are there are none for tasks; no line while all of them are. */
function gpuFault({ gpus, gpuTrouble }: ExecutorView): ReportedState {
  const reasons = gpus.flatMap(({ index, health }) =>
    health.isHealthy ? [] : [{ index, reason: health.reason }],
  );
  const [first] = reasons;
  const same = reasons.length > 1 && reasons.every(({ reason }) => reason === first?.reason);
  const told = same ? [first?.reason] : reasons.map(({ index, reason }) => `GPU ${index}: ${reason}`);
  const text = [...(gpuTrouble === undefined ? [] : [gpuTrouble]), ...told].join("; ");
  return text === "" ? {} : { gpus_unusable: text.replaceAll(/\s+/g, " ") };
}

/** What an Indexify server was told last. Not part of the hash: it is news every few seconds. */
export function toldServer(server: ServerLink | undefined): ReportedState {
  if (server?.reported === undefined) return {};
  const { isFullState, commandResponses, allocationOutcomes, allocationLogEntries, bytes } = server.reported;
  return {
    indexify_full_state: String(isFullState),
    indexify_command_responses: commandResponses,
    indexify_allocation_outcomes: allocationOutcomes,
    indexify_allocation_log_entries: allocationLogEntries,
    indexify_size_bytes: bytes,
  };
}

/** One fact, container or allocation per line. What a server's work has come to is not part of the hash, as what it was told is not. */
export function stateText(state: ReportedState, work?: ServerWork): string {
  const facts = Object.entries(state).map(([name, value]) => `${name}=${value}`);
  return `${[...facts, ...(work === undefined ? [] : workLines(work))].join("\n")}\n`;
}

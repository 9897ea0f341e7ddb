import type { HostCapacity, RuntimeSetting, Settings, Share } from "../core/index.ts";
import { DOOR_NAMES, MEBIBYTE } from "../core/index.ts";
import type { Config } from "./schema.ts";

const MEMORY_PART = 0.8;
const MINUTE_MS = 60_000;

export interface Clamped {
  readonly settings: Settings;
  /** One sentence for each limit that the host made smaller. */
  readonly notes: readonly string[];
}

/** The settings in base units, with the limits clamped to the host: its cores, and 80 % of its memory in whole MB. */
export function toSettings(config: Config, host: HostCapacity): Clamped {
  const hostMemory = Math.max(1, Math.floor((host.memoryBytes * MEMORY_PART) / MEBIBYTE)) * MEBIBYTE;
  const wishCpu = toMillis(config.cpu);
  const wishMemory = config.mem * MEBIBYTE;
  const cpuMillis = Math.min(wishCpu, Math.max(1, host.cpuMillis));
  const memoryBytes = Math.min(wishMemory, hostMemory);
  const notes: string[] = [];
  if (cpuMillis < wishCpu) {
    notes.push(`cpu is ${cpuMillis / 1000} instead of ${config.cpu}: the host has no more cores`);
  }
  if (memoryBytes < wishMemory) {
    notes.push(
      `mem is ${memoryBytes / MEBIBYTE} instead of ${config.mem}: that is 80 % of the host's memory`,
    );
  }
  const { tasks } = config;
  const settings: Settings = {
    cpuMillis,
    memoryBytes,
    idleTimeoutMs: Math.round(config.timeout * MINUTE_MS),
    hasGpu: config.has_gpu,
    gpuBusyPercent: config.gpus.busy_percent,
    sharesGpus: config.gpus.share,
    gpuPollMs: config.gpus.poll_ms,
    runtimes: runtimesOf(config),
    slotsPerSandbox: tasks.slots,
    sandboxesPerTask: tasks.sandboxes_per_task,
    queueLimit: tasks.queue,
    queueTimeoutMs: toMillis(tasks.queue_timeout_s),
    passOverMs: toMillis(tasks.pass_over_s),
    pullTimeoutMs: toMillis(tasks.pull_timeout_s),
    startTimeoutMs: toMillis(tasks.start_timeout_s),
    runTimeoutMs: toMillis(tasks.run_timeout_s),
    stopGraceMs: toMillis(tasks.stop_grace_s),
    pauseWaitMs: toMillis(config.pause_wait_s),
    sessionIdleMs: toMillis(config.sgx.session_s),
    sessionMaxMs: toMillis(config.sgx.session_max_s),
    sessionLimit: config.sgx.sessions,
    evictionOrder: tasks.eviction_order,
    onDisconnect: tasks.on_disconnect,
    refreshImages: tasks.refresh_images,
    shares: sharesOf(config, cpuMillis / wishCpu, memoryBytes / wishMemory),
  };
  return { settings, notes };
}

/**
 * What the engine's runtimes are for. `microVM_runtime` is the contract's own key and stronger than a row for that class; a row
 * with its name says whether its limits may be missing.
 */
export function runtimesOf({
  microVM_runtime: name,
  runtimes,
}: Pick<Config, "microVM_runtime" | "runtimes">): readonly RuntimeSetting[] {
  if (name === "") return runtimes;
  const limits = runtimes.find((row) => row.name === name && row.isolation === "microVM")?.limits;
  const microVm: RuntimeSetting = { name, isolation: "microVM", limits: limits ?? "required" };
  return [...runtimes.filter(({ isolation }) => isolation !== "microVM"), microVm];
}

/** Guarantees shrink with the limits that they are part of, so that they can always be kept. */
function sharesOf(config: Config, cpuPart: number, memoryPart: number): Settings["shares"] {
  const shares = DOOR_NAMES.map((door): [string, Share] => [
    door,
    {
      cpuMillis: Math.floor(toMillis(config.shares[door].cpu) * cpuPart),
      memoryBytes: Math.floor(config.shares[door].mem * MEBIBYTE * memoryPart),
    },
  ]);
  return Object.fromEntries(shares) as Settings["shares"];
}

/** Thousandths, at least one unless nothing was asked for: 0.0004 cores must not become none. */
function toMillis(value: number): number {
  return value === 0 ? 0 : Math.max(1, Math.round(value * 1000));
}

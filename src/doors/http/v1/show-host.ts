import type { Gpu, Host } from "../../../contract/v1/host.ts";
import type { HostDisk, NetworkReport } from "../../../core/index.ts";
import type { GpuView } from "../../../engine/gpus/gpu-cards.ts";
import type { DoorParts } from "../parts.ts";
import { showClass } from "./show-class.ts";

/** This host as the API shows it. */
export function showHost({ executor, options }: Pick<DoorParts, "executor" | "options">): Host {
  const view = executor.view();
  const { capabilities, host, usage } = view;
  return {
    version: options.version,
    state: view.state,
    driver: view.driver,
    isolation: [...capabilities.isolation],
    classes: view.classes.map(showClass),
    networks: showNetworks(view.networks),
    canFreeze: capabilities.canFreeze,
    canAdopt: capabilities.canAdopt,
    cpuMillis: host.cpuMillis,
    memoryBytes: host.memoryBytes,
    cpuPercent: usage.cpuPercent,
    memoryPercent: usage.memoryPercent,
    memoryAvailableBytes: usage.memoryAvailableBytes,
    ...showDisk(options.hostDisk),
    capacity: view.capacity,
    reserved: view.reserved,
    reservedByDoor: view.reservedByDoor,
    gpuModel: view.gpuModel,
    gpus: view.gpus.map(showGpu),
    ...(view.gpuTrouble === undefined ? {} : { gpuTrouble: view.gpuTrouble }),
    running: view.running,
    waiting: view.waiting,
    sandboxes: view.sandboxes,
    takesJobs: options.queue !== undefined,
    jobs: { running: view.jobs.running, waiting: view.jobs.waiting },
  };
}

function showDisk(disk: HostDisk | undefined): Pick<Host, "disk"> {
  if (disk === undefined) return {};
  const { totalBytes, capacityBytes } = disk;
  return {
    disk: {
      totalBytes,
      availableBytes: disk.availableBytes(),
      capacityBytes,
      reservedBytes: disk.reservedBytes(),
    },
  };
}

function showNetworks({ default: fallback, offered, isFiltered, reasons }: NetworkReport): Host["networks"] {
  return {
    ...(fallback === undefined ? {} : { default: fallback }),
    offered: [...offered],
    isFiltered,
    reasons: [...reasons],
  };
}

function showGpu({ health, holders, ...card }: GpuView): Gpu {
  return {
    ...card,
    isHealthy: health.isHealthy,
    ...(health.isHealthy ? {} : { reason: health.reason }),
    holders: holders.map((holder) => ({ ...holder })),
  };
}

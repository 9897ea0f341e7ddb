import type { Finding } from "./cli/index.ts";
import type { Config } from "./config/index.ts";
import type { CardHandover, GpuReading } from "./core/index.ts";
import { MEBIBYTE } from "./core/index.ts";
import type { OpenGpuMonitor } from "./drivers/gpu/index.ts";
import { openGpus } from "./open-gpus.ts";
import { orAbort, sleep } from "./std/index.ts";

/** To wake a driver without persistence takes seconds for each card; one that hangs takes for ever. */
const LOOK_MS = 10_000;

export interface CardFindings {
  readonly findings: readonly Finding[];
  /** Healthy cards that tasks may have. */
  readonly usable: readonly string[];
}

/** Which cards this host has, whether or not they are switched on: looked for in the way of a daemon. */
export async function gpuFindings(config: Config, signal: AbortSignal): Promise<CardFindings> {
  await using monitor = openGpus({ ...config, has_gpu: true });
  await looked(monitor, signal);
  const readings = monitor.readings();
  if (readings.length === 0) return { findings: config.has_gpu ? [noCards(monitor)] : [], usable: [] };
  const findings = [
    summary(readings, monitor, config.has_gpu),
    ...readings.map((reading) => cardFinding(reading, config.gpus.busy_percent)),
    ...(monitor.trouble === undefined ? [] : [trouble(monitor.trouble)]),
  ];
  const healthy = readings.filter(({ health }) => health.isHealthy).map(({ id }) => id);
  return { findings, usable: config.has_gpu ? healthy : [] };
}

/** Whether the engine gives these cards to its containers: tried with one of them, as a daemon does. */
export async function handoverFindings(
  handover: CardHandover | undefined,
  gpuIds: readonly string[],
  signal: AbortSignal,
): Promise<Finding[]> {
  if (handover === undefined || gpuIds.length === 0) return [];
  handover.offer(gpuIds);
  const answer = await orAbort(handover.tried(), signal);
  if (answer.type !== "refused") {
    return [{ area: "isolate", state: "ok", text: "container: tasks can be given GPUs" }];
  }
  const advice =
    "Install the NVIDIA Container Toolkit for this engine and restart it; docs/gpus.md says how. Or set has_gpu to false.";
  const text = `container: tasks cannot be given GPUs: ${answer.reason}`;
  return [{ area: "isolate", state: "limited", text, advice }];
}

async function looked(monitor: OpenGpuMonitor, signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const tired = sleep(LOOK_MS, stop.signal).catch(() => undefined);
  try {
    await Promise.race([orAbort(monitor.looked(), signal), tired]);
  } finally {
    stop.abort();
  }
}

function noCards({ trouble: reason }: OpenGpuMonitor): Finding {
  const why = reason ?? `the driver has not answered for ${LOOK_MS / 1000} s`;
  const advice =
    "Run nvidia-smi on this host. In a container, the cards must be handed in: --gpus all. Or set has_gpu to false.";
  return { area: "measure", state: "missing", text: `no GPUs: ${why}`, advice };
}

function summary(
  readings: readonly GpuReading[],
  { source, driverVersion }: OpenGpuMonitor,
  isOn: boolean,
): Finding {
  const way = source === "nvml" ? "NVML" : "nvidia-smi";
  const driver = driverVersion === "" ? "" : `, driver ${driverVersion}`;
  const count = readings.length === 1 ? "1 GPU" : `${readings.length} GPUs`;
  const text = `${count}, read through ${way}${driver}`;
  if (isOn) return { area: "measure", state: "ok", text };
  return {
    area: "measure",
    state: "limited",
    text: `${text}; tasks get none of them`,
    advice: "Set has_gpu to true.",
  };
}

function cardFinding(reading: GpuReading, busyPercent: number): Finding {
  const { index, id, model, memoryBytes, memoryUsedBytes, computePercent, health } = reading;
  const name = `GPU ${index}, ${model}, ${Math.floor(memoryBytes / MEBIBYTE)} MB, ${id}`;
  if (!health.isHealthy) {
    return { area: "measure", state: "limited", text: `${name}: not usable: ${health.reason}` };
  }
  const memoryPercent = memoryBytes === 0 ? 0 : Math.round((memoryUsedBytes / memoryBytes) * 100);
  const use = `${computePercent} % of its computing and ${memoryPercent} % of its memory in use`;
  const isBusy = computePercent > busyPercent || memoryPercent > busyPercent;
  return { area: "measure", state: "ok", text: `${name}: ${isBusy ? "busy, " : ""}${use}` };
}

function trouble(text: string): Finding {
  return { area: "measure", state: "limited", text: `GPUs: ${text}` };
}

/** What `hearth doctor` finds. Like `serve.ts` it knows every part. It starts test sandboxes only, and leaves nothing behind. */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import type { Finding } from "./cli/index.ts";
import type { Config, Loaded } from "./config/index.ts";
import { toSettings } from "./config/index.ts";
import type { HostCapacity } from "./core/index.ts";
import { ExecutorError, MEBIBYTE } from "./core/index.ts";
import { classFindings } from "./diagnose-classes.ts";
import { gpuFindings, handoverFindings } from "./diagnose-gpus.ts";
import { networkFindings } from "./diagnose-networks.ts";
import { openEngine } from "./drivers/docker/engine/engine.ts";
import { openHostMonitor } from "./drivers/host/index.ts";
import { openProcessDriver } from "./drivers/process/index.ts";
import type { DriverLinks } from "./open-driver.ts";
import { openDriver, partsToAvoid, readTls } from "./open-driver.ts";
import { withDeadline } from "./std/index.ts";
import { silentLog } from "./telemetry/index.ts";

const ENGINE_MS = 5000;

/**
 * Looks at this host with the eyes of a daemon that would be started here and now.
 *
 * @param loaded `undefined` if the configuration has faults.
 */
export async function diagnose(
  loaded: Loaded | undefined,
  faults: readonly string[],
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const broken = faults.map((text): Finding => ({ area: "reach", state: "broken", text }));
  if (loaded === undefined) return broken;
  const { driver } = loaded.config;
  const { findings: gpus, usable: gpuIds } = await gpuFindings(loaded.config, signal);
  const docker = driver === "process" ? [] : await engineFindings(loaded, gpuIds, signal);
  const processes = driver === "docker" ? [] : await processFindings(loaded, driver === "auto", signal);
  const { findings: measure, capacity } = measureFindings();
  return [
    ...docker,
    ...processes,
    ...measure,
    ...gpus,
    ...bookFindings(loaded, capacity),
    ...reachFindings(loaded),
    ...(await doorFindings(loaded.config, docker)),
  ];
}

/** The door's libraries are large: they are loaded only where it would open. */
async function doorFindings(config: Config, docker: readonly Finding[]): Promise<readonly Finding[]> {
  if (config.indexify.server_addr === "") return [];
  const { indexifyFindings } = await import("./diagnose-indexify.ts");
  const hasContainers = config.driver === "docker" || docker[0]?.state === "ok";
  return await indexifyFindings(config, { hasContainers, env: process.env });
}

async function engineFindings(
  { config }: Loaded,
  gpuIds: readonly string[],
  signal: AbortSignal,
): Promise<Finding[]> {
  const { host, cert_path: certPath } = config.docker;
  try {
    const engine = await withDeadline(
      { ms: ENGINE_MS, code: "ENGINE_UNAVAILABLE", parent: signal },
      async (deadline) => await openEngine({ host, tls: readTls(certPath) }, deadline),
    );
    const text = `Docker ${engine.versions.engine} (API ${engine.api}) answers at ${host}: tasks run in containers`;
    const found: Finding[] = [{ area: "isolate", state: "ok", text }];
    if (!engine.isSeccompOn) {
      found.push({ area: "isolate", state: "broken", text: "the engine runs containers without seccomp" });
      return found;
    }
    return [...found, ...(await dockerClasses(config, gpuIds, signal))];
  } catch (error) {
    signal.throwIfAborted();
    const state = config.driver === "docker" ? "broken" : "missing";
    const reason = ExecutorError.from(error).message;
    const advice =
      "Start Docker, or say where it is: docker.host, or DOCKER_HOST. Without it tasks run as plain processes.";
    return [{ area: "isolate", state, text: `no Docker engine at ${host}: ${reason}`, advice }];
  }
}

/** Tests every class, as a daemon does at its start. No daemon has this owner's name, so nothing of a running one is touched. */
async function dockerClasses(
  config: Config,
  gpuIds: readonly string[],
  signal: AbortSignal,
): Promise<Finding[]> {
  const identity = { ownerId: `doctor-${process.pid}`, instanceId: "doctor" };
  const alone = { ...config, driver: "docker", docker: { ...config.docker, networks_ahead: 0 } } as const;
  await using driver = await openDriver(alone, identity, silentLog, signal, doorsOf(config));
  const classes = classFindings(await driver.probe(signal));
  const cards = await handoverFindings(driver.cards, gpuIds, signal);
  return [...classes, ...cards, ...networkFindings(driver.networks())];
}

/** Where a daemon with this configuration listens, or would. */
function doorsOf({ http, monitor }: Config): DriverLinks {
  return { doors: () => Promise.resolve([http, monitor]) };
}

async function processFindings(
  { config }: Loaded,
  isFallback: boolean,
  signal: AbortSignal,
): Promise<Finding[]> {
  const scratch = await mkdtemp(join(tmpdir(), "hearth-doctor-"));
  try {
    await using driver = await openProcessDriver(
      {
        // No daemon has this name, so nothing of a running one is touched.
        owner: `doctor-${process.pid}`,
        taskDirectories: config.tasks.dirs,
        stateDirectory: scratch,
        networkRange: config.process.network_range,
        avoid: partsToAvoid(config),
        ...doorsOf(config),
      },
      signal,
    );
    const { detail, warnings } = driver.reach;
    const state = warnings.length === 0 ? "ok" : "limited";
    const classes = classFindings(await driver.probe(signal));
    return [
      { area: "isolate", state, text: `${isFallback ? "where no engine answers, " : ""}${detail}` },
      ...warnings.map((text): Finding => ({ area: "isolate", state: "limited", text })),
      ...classes,
      ...networkFindings(driver.networks()),
    ];
  } catch (error) {
    signal.throwIfAborted();
    const state = isFallback ? "missing" : "broken";
    return [{ area: "isolate", state, text: `no plain processes: ${ExecutorError.from(error).message}` }];
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function measureFindings(): { readonly findings: readonly Finding[]; readonly capacity: HostCapacity } {
  try {
    using monitor = openHostMonitor();
    const { cpuMillis, memoryBytes } = monitor.capacity;
    const { memoryAvailableBytes } = monitor.usage();
    const text =
      `${cpuMillis / 1000} cores and ${inMegabytes(memoryBytes)} MB are there, ` +
      `${inMegabytes(memoryAvailableBytes)} MB of them free`;
    return { findings: [{ area: "measure", state: "ok", text }], capacity: monitor.capacity };
  } catch (error) {
    const text = `this host's load cannot be read: ${ExecutorError.from(error).message}`;
    const capacity = { cpuMillis: availableParallelism() * 1000, memoryBytes: totalmem() };
    return { findings: [{ area: "measure", state: "broken", text }], capacity };
  }
}

function inMegabytes(bytes: number): number {
  return Math.floor(bytes / MEBIBYTE);
}

function bookFindings({ config, origins }: Loaded, capacity: HostCapacity): Finding[] {
  const { settings, notes } = toSettings(config, capacity);
  const { cpuMillis, memoryBytes } = settings;
  const text = `tasks may use ${cpuMillis / 1000} cores and ${inMegabytes(memoryBytes)} MB together`;
  // That the defaults are more than a small host has is no news.
  const told = origins.has("cpu") || origins.has("mem") ? notes : [];
  return [
    { area: "book", state: "ok", text },
    ...told.map((note): Finding => ({ area: "book", state: "limited", text: note })),
  ];
}

function reachFindings({ config, file, warnings, tokens }: Loaded): Finding[] {
  const { host, port } = config.http;
  const findings: Finding[] = [
    {
      area: "reach",
      state: "ok",
      text: file === undefined ? "no configuration file" : `configuration from ${file}`,
    },
    ...warnings.map((text): Finding => ({ area: "reach", state: "limited", text })),
  ];
  const isLocal = host === "localhost" || host === "::1" || host.startsWith("127.");
  if (isLocal || tokens.length > 0) {
    const guard = tokens.length > 0 ? "with a token" : "from this host only";
    findings.push({ area: "reach", state: "ok", text: `the API listens on ${host}:${port}, ${guard}` });
  } else {
    const text = `the API listens on ${host}:${port}: whoever reaches that address may run and stop everything`;
    findings.push({
      area: "reach",
      state: "limited",
      text,
      advice: "Set http.token_file, or http.host to 127.0.0.1.",
    });
  }
  findings.push(stateFinding(config.state_dir));
  return findings;
}

function stateFinding(folder: string): Finding {
  // It is made at the first start, so what counts is the nearest folder that exists.
  let nearest = folder;
  while (!existsSync(nearest) && dirname(nearest) !== nearest) nearest = dirname(nearest);
  try {
    accessSync(nearest, constants.W_OK | constants.X_OK);
    if (!statSync(nearest).isDirectory()) throw new Error("not a folder");
    return { area: "reach", state: "ok", text: `state is kept in ${folder}` };
  } catch {
    const advice = "Set state_dir, or HEARTH_STATE_DIR, to a folder that this user may write.";
    return { area: "reach", state: "broken", text: `${folder} cannot be written`, advice };
  }
}

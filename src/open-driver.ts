import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "./config/index.ts";
import { runtimesOf } from "./config/index.ts";
import type { Log, NetworkSettings, SandboxDriver } from "./core/index.ts";
import { ExecutorError, parseAllowEntry } from "./core/index.ts";
import type { EngineTls } from "./drivers/docker/index.ts";
import type { ConfinementPart } from "./drivers/process/index.ts";

/** How long `auto` waits for an engine before it takes processes. */
const ENGINE_DEADLINE_MS = 10_000;

export interface DriverIdentity {
  readonly ownerId: string;
  readonly instanceId: string;
}

/** Where the executor's own doors listen. */
export type DoorAddresses = readonly { readonly host: string; readonly port: number }[];
/** Resolves once they do: a driver's test sandboxes try to reach them. */
export type ListeningDoors = () => Promise<DoorAddresses>;

/** What a driver is told of the other parts. */
export interface DriverLinks {
  readonly doors?: ListeningDoors;
  /** The device files of cards, by UUID. */
  readonly cardNodes?: (gpuIds: readonly string[]) => readonly string[];
}

/**
 * Opens the driver that the configuration names. `auto` takes Docker where an engine answers and processes where none does;
 * an engine that answers and cannot be used is an error, because falling back would quietly weaken every task's isolation.
 *
 * @throws {@link ExecutorError} what the driver throws.
 */
export async function openDriver(
  config: Config,
  identity: DriverIdentity,
  log: Log,
  signal: AbortSignal,
  links: DriverLinks = {},
): Promise<SandboxDriver> {
  if (config.driver === "process") return await openProcesses(config, identity, log, signal, links);
  try {
    return await openDocker(config, identity, log, signal, links);
  } catch (error) {
    signal.throwIfAborted();
    const isAbsent = error instanceof ExecutorError && error.code === "ENGINE_UNAVAILABLE";
    if (config.driver === "docker" || !isAbsent) throw error;
    log.log("info", "driver.missed", { driver: "docker", host: config.docker.host, reason: error.message });
    return await openProcesses(config, identity, log, signal, links);
  }
}

async function openDocker(
  config: Config,
  identity: DriverIdentity,
  log: Log,
  signal: AbortSignal,
  { doors }: DriverLinks,
): Promise<SandboxDriver> {
  const { docker, tasks } = config;
  const [{ openDockerDriver }, { withDeadline }] = await Promise.all([
    import("./drivers/docker/index.ts"),
    import("./std/index.ts"),
  ]);
  return await withDeadline(
    {
      ms: ENGINE_DEADLINE_MS,
      code: "ENGINE_UNAVAILABLE",
      facts: { host: docker.host, reason: "it does not answer in time" },
      parent: signal,
    },
    async (bounded) =>
      await openDockerDriver(
        {
          ...identity,
          host: docker.host,
          tls: readTls(docker.cert_path),
          network: networkSettings(config),
          networkRange: docker.network_range,
          networksAhead: docker.networks_ahead,
          reach: docker.reach,
          registryConfigPath: docker.registry_config,
          pullTimeoutMs: tasks.pull_timeout_s * 1000,
          pullStallMs: docker.pull_stall_s * 1000,
          sgx: {
            isEnabled: config.sgx.enable,
            device: config.sgx.sgx_device,
            aesmFolder: config.sgx.aesmd_path,
          },
          runtimes: runtimesOf(config),
          doors,
          log,
        },
        bounded,
      ),
  );
}

async function openProcesses(
  config: Config,
  identity: DriverIdentity,
  log: Log,
  signal: AbortSignal,
  { cardNodes, doors }: DriverLinks,
): Promise<SandboxDriver> {
  const { openProcessDriver } = await import("./drivers/process/index.ts");
  if (config.sgx.enable) {
    const warning = "sgx.enable is on, and plain processes have no SGX: calls that ask for it are refused";
    log.log("warn", "driver.degraded", { driver: "process", warning });
  }
  const driver = await openProcessDriver(
    {
      owner: identity.ownerId,
      stateDirectory: join(config.state_dir, "process"),
      taskDirectories: config.tasks.dirs,
      networkRange: config.process.network_range,
      network: networkSettings(config),
      log,
      doors,
      avoid: partsToAvoid(config),
      requires: config.process.bubblewrap === "on" ? ["bubblewrap"] : [],
      ...(cardNodes === undefined ? {} : { cardNodes }),
    },
    signal,
  );
  for (const warning of driver.reach.warnings) {
    log.log("warn", "driver.degraded", { driver: "process", warning });
  }
  return driver;
}

/** What the configuration says about what tasks reach. */
export function networkSettings({ network }: Config): NetworkSettings {
  return { ...network, allow: network.allow.flatMap((entry) => parseAllowEntry(entry) ?? []) };
}

/** What of the process driver's confinement the configuration turns off. */
export function partsToAvoid({ process: { bubblewrap, network } }: Config): readonly ConfinementPart[] {
  return [
    ...(bubblewrap === "off" ? (["bubblewrap"] as const) : []),
    ...(network === "host" ? (["network"] as const) : []),
  ];
}

export function readTls(folder: string): EngineTls | undefined {
  if (folder === "") return undefined;
  const read = (name: string): string => {
    try {
      return readFileSync(join(folder, name), "utf8");
    } catch (cause) {
      throw new ExecutorError(
        "CONFIG_INVALID",
        { field: "docker.cert_path", reason: `${join(folder, name)} cannot be read` },
        { cause },
      );
    }
  };
  return { ca: read("ca.pem"), cert: read("cert.pem"), key: read("key.pem") };
}

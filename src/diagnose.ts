/** What `hearth doctor` finds. Like `serve.ts` it knows every part; it starts nothing and leaves nothing behind. */
import { accessSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname } from "node:path";
import type { Finding } from "./cli/index.ts";
import type { Loaded } from "./config/index.ts";
import { toSettings } from "./config/index.ts";
import type { HostCapacity, Settings } from "./core/index.ts";
import { ExecutorError, MEBIBYTE } from "./core/index.ts";
import { openEngine } from "./drivers/docker/engine/engine.ts";
import { openCgroups } from "./drivers/process/cgroup/open-cgroups.ts";
import { findConfinement } from "./drivers/process/confinement.ts";
import { openTaskUids } from "./drivers/process/task-uids.ts";
import { withDeadline } from "./std/index.ts";

const ENGINE_MS = 5000;
/** No daemon has this name, so nothing of a running one is touched. */
const OWNER = "hearth-doctor";

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
  const driver = loaded.config.driver;
  const docker = driver === "process" ? [] : await engineFindings(loaded, signal);
  const plain = driver === "docker" ? [] : await processFindings(signal);
  return [
    ...docker,
    ...plain,
    ...LATER,
    ...measureFindings(),
    ...bookFindings(loaded),
    ...reachFindings(loaded),
  ];
}

const LATER: readonly Finding[] = [
  {
    area: "isolate",
    state: "missing",
    text: "gVisor, microVM, SGX and GPUs are not offered by this version; calls that ask for them are refused",
  },
];

async function engineFindings({ config }: Loaded, signal: AbortSignal): Promise<Finding[]> {
  const { host } = config.docker;
  try {
    const engine = await withDeadline(
      { ms: ENGINE_MS, code: "ENGINE_UNAVAILABLE", parent: signal },
      async (deadline) => await openEngine({ host }, deadline),
    );
    const text = `Docker ${engine.versions.engine} (API ${engine.api}) answers at ${host}: tasks run in containers`;
    const found: Finding[] = [{ area: "isolate", state: "ok", text }];
    if (!engine.isSeccompOn) {
      found.push({ area: "isolate", state: "limited", text: "the engine runs containers without seccomp" });
    }
    return found;
  } catch (error) {
    signal.throwIfAborted();
    const state = config.driver === "docker" ? "broken" : "missing";
    const reason = ExecutorError.from(error).message;
    const advice =
      "Start Docker, or say where it is: docker.host, or DOCKER_HOST. Without it tasks run as plain processes.";
    return [{ area: "isolate", state, text: `no Docker engine at ${host}: ${reason}`, advice }];
  }
}

async function processFindings(signal: AbortSignal): Promise<Finding[]> {
  const isRoot = process.getuid?.() === 0;
  const uids = isRoot ? openTaskUids(OWNER, readFileSync("/proc/self/uid_map", "utf8")) : undefined;
  const { confinement, remarks } = await findConfinement(uids?.take(), signal);
  const walls = [
    confinement.bubblewrap === undefined ? undefined : "bubblewrap",
    confinement.changesUid ? "a user of their own" : undefined,
  ].filter((wall) => wall !== undefined);
  const text =
    walls.length === 0
      ? "without Docker, tasks run as plain processes of this user: the host's files are open to them"
      : `without Docker, tasks run as processes with ${walls.join(" and ")}`;
  const isWhole = confinement.bubblewrap !== undefined && confinement.changesUid;
  const advice = remarks.join("; ");
  return [
    { area: "isolate", state: isWhole ? "ok" : "limited", text, ...(advice === "" ? {} : { advice }) },
    cgroupFinding(),
  ];
}

function cgroupFinding(): Finding {
  const cgroups = openCgroups(OWNER);
  if (cgroups === undefined) {
    return {
      area: "book",
      state: "limited",
      text: "no cgroups can be made here: processes are not held to their CPU and memory",
      advice: "Run as root, or let systemd hand cgroups down (Delegate=cpu memory pids).",
    };
  }
  const { version, missing, canFreeze } = cgroups;
  cgroups.close();
  const lacks = [...missing.map((name) => `${name} limits`), ...(canFreeze ? [] : ["freezing"])];
  if (lacks.length === 0) {
    return {
      area: "book",
      state: "ok",
      text: `cgroups ${version} hold processes to their CPU, memory and number`,
    };
  }
  return { area: "book", state: "limited", text: `cgroups ${version} without ${lacks.join(", ")}` };
}

function measureFindings(): Finding[] {
  const { cpuMillis, memoryBytes } = hostCapacity();
  const size = `${cpuMillis / 1000} cores and ${Math.floor(memoryBytes / MEBIBYTE)} MB`;
  const findings: Finding[] = [{ area: "measure", state: "ok", text: `the host has ${size}` }];
  if (!existsSync("/proc/stat") || !existsSync("/proc/meminfo")) {
    findings.push({
      area: "measure",
      state: "limited",
      text: "without /proc, the host's load cannot be read",
    });
  }
  return findings;
}

function hostCapacity(): HostCapacity {
  return { cpuMillis: availableParallelism() * 1000, memoryBytes: totalmem() };
}

function bookFindings({ config, origins }: Loaded): Finding[] {
  const { settings, notes } = toSettings(config, hostCapacity());
  // That the defaults are more than a small host has is no news.
  const told = origins.has("cpu") || origins.has("mem") ? notes : [];
  const limits = `tasks may use ${settings.cpuMillis / 1000} cores and ${megabytes(settings)} MB together`;
  return [
    { area: "book", state: "ok", text: limits },
    ...told.map((text): Finding => ({ area: "book", state: "limited", text })),
  ];
}

function megabytes({ memoryBytes }: Settings): number {
  return memoryBytes / MEBIBYTE;
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

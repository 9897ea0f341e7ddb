import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.ts";
import { poll } from "./poll.ts";
import { outputOf } from "./run-program.ts";

export { freePort } from "./free-port.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = join(root, "dist/hearth.mjs");

export interface DaemonOptions {
  /** Text of the configuration file. */
  readonly config?: string;
  /** Whether there is a configuration file at all. Default: yes, if only an empty one. */
  readonly hasFile?: boolean;
  /** Further flags of `hearth serve`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where state is kept; a folder of its own that goes with the daemon unless given. */
  readonly stateDir?: string;
  /** 0, the default, finds a free one. */
  readonly port?: number;
  /** Of the monitor door; likewise. */
  readonly monitorPort?: number;
  /** Whether to wait until `/health` says ok and the start is over. Default: yes. */
  readonly waits?: boolean;
  /** Words before the program, such as `prlimit` and its options; it must become the program. */
  readonly under?: readonly string[];
}

/** The built daemon as a process of its own, on loopback. Disposing it ends it, by force if need be. */
export interface Daemon extends AsyncDisposable {
  readonly baseUrl: string;
  readonly monitorUrl: string;
  readonly stateDir: string;
  readonly configFile: string;
  readonly child: ChildProcess;
  /** Its exit status, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  log(): string;
  /** Runs the command line against it. @throws when it ends with anything but 0. */
  cli(...args: string[]): Promise<string>;
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<number | string>;
}

export async function startDaemon(options: DaemonOptions = {}): Promise<Daemon> {
  // `npm run check` has built it; a single test run by hand may be the first to want it.
  if (!existsSync(program))
    await outputOf(process.execPath, ["scripts/build.mjs", "--no-types"], { cwd: root });
  const folder = await mkdtemp(join(tmpdir(), "hearth-daemon-"));
  const stateDir = options.stateDir ?? join(folder, "state");
  const port = options.port ?? (await freePort());
  const monitorPort = options.monitorPort ?? (await freePort());
  const config = join(folder, "hearth.yaml");
  const logFile = join(folder, "log");
  if (options.hasFile !== false) writeFileSync(config, options.config ?? "");
  const env = {
    ...process.env,
    HEARTH_HTTP_HOST: "127.0.0.1",
    HEARTH_HTTP_PORT: String(port),
    HEARTH_MONITOR_PORT: String(monitorPort),
    HEARTH_STATE_DIR: stateDir,
    HEARTH_INDEXIFY_PROXY_PORT: "0",
    ...options.env,
  };
  const output = openSync(logFile, "a");
  const named = options.hasFile === false ? [] : ["--config", config];
  const serve = [process.execPath, program, "serve", ...named, ...(options.args ?? [])];
  const [first = "", ...words] = [...(options.under ?? []), ...serve];
  const child = spawn(first, words, {
    env,
    cwd: folder,
    stdio: ["ignore", output, output],
  });
  const ended = new Promise<number | string>((resolve) => {
    child.once("exit", (status, signal) => resolve(status ?? signal ?? 1));
  });
  const baseUrl = `http://127.0.0.1:${port}`;
  const daemon: Daemon = {
    baseUrl,
    monitorUrl: `http://127.0.0.1:${monitorPort}`,
    stateDir,
    configFile: config,
    child,
    ended,
    log: () => readFileSync(logFile, "utf8"),
    cli: (...args) =>
      outputOf(process.execPath, [program, ...args], { env: { ...env, HEARTH_HOST: baseUrl }, cwd: folder }),
    async end(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return await ended;
    },
    async [Symbol.asyncDispose]() {
      const escalate = setTimeout(() => child.kill("SIGKILL"), 40_000);
      await daemon.end("SIGTERM");
      clearTimeout(escalate);
      // For whoever looks for the reason of a failure.
      const keep = process.env["HEARTH_KEEP_LOGS"];
      if (keep !== undefined) copyFileSync(logFile, join(keep, `${basename(folder)}.log`));
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
  if (options.waits !== false) await untilWell(daemon);
  return daemon;
}

/**
 * The HTTP door opens before those to a queue and a server; after them the monitor port tells everything. It listens before the HTTP
 * door: where it refuses, the test has moved it.
 */
async function isStarting({ monitorUrl }: Daemon): Promise<boolean> {
  try {
    const answer = await fetch(`${monitorUrl}/healthz`, { signal: AbortSignal.timeout(10_000) });
    return (await answer.text()).includes("it has not started yet");
  } catch (error) {
    return !isRefused(error);
  }
}

function isRefused(error: unknown): boolean {
  return (
    error instanceof Error && (error.cause as NodeJS.ErrnoException | undefined)?.code === "ECONNREFUSED"
  );
}

async function untilWell(daemon: Daemon): Promise<void> {
  try {
    await poll(
      "the daemon is well",
      async () => {
        if (daemon.child.exitCode !== null) throw new Error(`the daemon ended: ${daemon.log().slice(-2000)}`);
        const answer = await fetch(`${daemon.baseUrl}/health`, { signal: AbortSignal.timeout(2000) }).catch(
          () => undefined,
        );
        if (answer?.status !== 200) return daemon.log().slice(-2000);
        return !(await isStarting(daemon)) || daemon.log().slice(-2000);
      },
      120_000,
    );
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
}

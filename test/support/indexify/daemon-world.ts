import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DataPayload } from "../../../src/gen/executor_api_pb.js";
import { poll } from "../poll.ts";
import { type Daemon, startDaemon } from "../start-daemon.ts";
import type { Application, RequestEnd } from "./double-scheduler.ts";
import { DoubleScheduler, storedFile, storedJson } from "./double-scheduler.ts";
import { tensorlakeOrThrow } from "./tensorlake.ts";
import { TIED } from "./tied.ts";

/** The built daemon, as its users start it, as the executor of a server's double. */
export interface DaemonWorld extends AsyncDisposable {
  readonly scheduler: DoubleScheduler;
  /** The one that runs now. */
  readonly daemon: Daemon;
  /** Where inputs and values lie. */
  readonly blobs: string;
  /** A user's request with an input of JSON. */
  call(name: string, input: unknown): Promise<RequestEnd>;
  /** The same with a file. */
  send(name: string, content: Uint8Array): Promise<RequestEnd>;
  /** What the monitor door answers. */
  monitor(path: string): Promise<{ readonly status: number; readonly text: string }>;
  /** Waits until the server has taken everything that there is to know of the daemon. */
  ready(): Promise<void>;
  /** Waits until an allocation runs. */
  untilRuns(): Promise<void>;
  /** Waits until the function `counts` has written its first line into a file among the blobs: user code has begun. */
  untilCounts(file: string): Promise<void>;
  /** The pids of its workers that run now. */
  workers(): Promise<readonly number[]>;
  /** Takes away every container but those of these functions: they would hold the room that others want. */
  keepOnly(...names: readonly string[]): void;
  /** Starts the next life of a daemon that has ended. */
  startAgain(): Promise<void>;
}

type Env = Readonly<Record<string, string>>;

export interface DaemonWorldOptions {
  /** Of the daemon; that it needs to know of the folder with the blobs as well. */
  readonly env?: Env | ((blobs: string) => Env);
  /** `process` without one. */
  readonly driver?: "docker";
  /** More of the configuration file. */
  readonly config?: string;
  readonly application?: Partial<Application>;
  /** Where the daemon finds the server: what stands in front of it. The double's own address without one. */
  reach?(server: DoubleScheduler["server"]): Promise<string>;
  /** Puts a user's input where the functions find it. A file without one. */
  store?(name: string, content: Uint8Array): Promise<string>;
}

/** Workers are held to it: less makes their starts long, more leaves no room for all of a test's. */
const CPU_MS_PER_SEC = 250;
const MEMORY_BYTES = 256n * 1024n * 1024n;

/** @throws when the pinned worker cannot be had, or the daemon does not register. */
export async function openDaemonWorld(options: DaemonWorldOptions = {}): Promise<DaemonWorld> {
  const tensorlake = await tensorlakeOrThrow();
  const place = await mkdtemp(join(tmpdir(), "hearth-indexify-world-"));
  const blobs = join(place, "blobs");
  await mkdir(blobs);
  const size = { cpuMsPerSec: CPU_MS_PER_SEC, memoryBytes: MEMORY_BYTES };
  const scheduler = new DoubleScheduler({
    ...{ zipPath: tensorlake.appZip, blobFolder: blobs, ...size },
    ...options.application,
  });
  await scheduler.server.start();
  const address = (await options.reach?.(scheduler.server)) ?? scheduler.server.address;
  const start = (): Promise<Daemon> =>
    startDaemon({
      config: `driver: ${options.driver ?? "process"}\n${options.config ?? ""}`,
      under: TIED,
      stateDir: join(place, "state"),
      env: {
        HEARTH_INDEXIFY_SERVER_ADDR: `http://${address}`,
        HEARTH_INDEXIFY_FUNCTION_EXECUTOR: tensorlake.functionExecutor,
        ...(typeof options.env === "function" ? options.env(blobs) : options.env),
      },
    });
  const daemons = [await start()];
  const now = (): Daemon => daemons.at(-1)!;
  let inputs = 0;
  const store = async (name: string, content: Uint8Array): Promise<string> => {
    const path = join(blobs, name);
    await writeFile(path, content);
    return `file://${path}`;
  };
  const put = async (ending: string, content: Uint8Array): Promise<string> => {
    inputs += 1;
    return await (options.store ?? store)(`input-${inputs}.${ending}`, content);
  };
  const request = (name: string, payload: DataPayload): Promise<RequestEnd> =>
    scheduler.request(name, payload);
  const world: DaemonWorld = {
    scheduler,
    blobs,
    get daemon() {
      return now();
    },
    call: async (name, input) => {
      const json = JSON.stringify(input);
      return await request(name, storedJson(await put("json", Buffer.from(json)), json));
    },
    send: async (name, content) => await request(name, storedFile(await put("bin", content), content)),
    monitor: async (path) => {
      const answer = await fetch(`${now().monitorUrl}${path}`);
      return { status: answer.status, text: await answer.text() };
    },
    ready: async () =>
      await poll("the server knows the daemon", async () => {
        const { status, text } = await world.monitor("/monitoring/health");
        const hasPolled = now().log().includes("indexify.ready");
        return (status === 200 && hasPolled) || text;
      }),
    untilRuns: async () =>
      await poll(
        "an allocation runs",
        async () => {
          const { text } = await world.monitor("/state/reported");
          return /^allocation .*phase=running$/m.test(text) || text;
        },
        60_000,
      ),
    untilCounts: async (file) =>
      await poll(
        `${file} has a line`,
        async () =>
          (await readFile(join(world.blobs, file), "utf8").catch(() => "")).endsWith("\n") || "none",
        60_000,
      ),
    workers: async () => await workersOf(scheduler),
    keepOnly: (...names) => {
      const isKept = (id: string): boolean => names.some((name) => id.startsWith(`container-${name}-`));
      for (const id of scheduler.running) if (!isKept(id)) scheduler.removeContainer(id);
    },
    startAgain: async () => {
      daemons.push(await start());
      await world.ready();
    },
    async [Symbol.asyncDispose]() {
      for (const daemon of daemons) await daemon[Symbol.asyncDispose]();
      await scheduler.server[Symbol.asyncDispose]();
      await rm(place, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
  try {
    await world.ready();
  } catch (error) {
    await world[Symbol.asyncDispose]();
    throw error;
  }
  return world;
}

/** By what was written on their command lines. */
async function workersOf({ executorIds }: DoubleScheduler): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return executorIds.some((id) => line.includes(`--executor-id=${id}\0`)) ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

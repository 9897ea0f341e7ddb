import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@redis/client";
import { freePort } from "./free-port.ts";
import { poll } from "./poll.ts";
import { standStill } from "./stand-still.ts";

export { freePort } from "./free-port.ts";

export interface PrivateRedisOptions {
  /** Further arguments, such as `--cluster-enabled yes`. */
  readonly args?: readonly string[];
  /** Keeps its data over a restart. */
  readonly hasAof?: boolean;
  /** Where it listens; a free port unless given. */
  readonly port?: number;
  /** The server; the one on the path unless given. */
  readonly program?: string;
}

/** A server of a test's own on a free port of the loopback, in a folder of its own. */
export interface PrivateRedis extends AsyncDisposable {
  readonly port: number;
  readonly settings: {
    readonly type: "single";
    readonly address: { readonly host: string; readonly port: number };
  };
  /** Sends one command over a connection that is kept for it, and made anew after each restart. */
  ask(...args: readonly string[]): Promise<unknown>;
  start(): Promise<void>;
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Until `goOn` it answers nothing. */
  standStill(): Promise<void>;
  goOn(): void;
}

export async function openPrivateRedis(options: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-redis-"));
  let port = options.port ?? (await freePort());
  let child: ChildProcess | undefined;
  let admin: ReturnType<typeof connect> | undefined;

  const ask = async (...args: readonly string[]): Promise<unknown> => {
    admin ??= connect(port);
    // A server that changes its role hangs up on everybody.
    if (!(await admin).isReady) admin = connect(port);
    return await (await admin).sendCommand([...args]);
  };
  const forget = async (): Promise<void> => {
    const client = await admin?.catch(() => undefined);
    admin = undefined;
    client?.destroy();
  };
  const launch = (): ChildProcess => {
    const log = openSync(join(folder, "log"), "a");
    const persistence = options.hasAof ? ["--appendonly", "yes", "--appendfsync", "always"] : [];
    return spawn(
      options.program ?? "redis-server",
      ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", "", ...persistence].concat(
        options.args ?? [],
      ),
      { stdio: ["ignore", log, log] },
    );
  };
  /** Whether it is this very server that answers there; not whoever else has taken the port. */
  const isUp = async (server: ChildProcess): Promise<true | string> => {
    try {
      const [, pid] = /process_id:(\d+)/.exec(String(await ask("INFO", "server"))) ?? [];
      return pid === String(server.pid) || `the port is that of process ${pid}`;
    } catch (error) {
      await forget();
      // It asks for a password: it is there.
      return /NOAUTH|NOPERM|LOADING/.test(String(error)) ? true : String(error);
    }
  };
  let mayMove = options.port === undefined;
  const start = async (): Promise<void> => {
    const server = launch();
    child = server;
    let hasMoved = false as boolean;
    await poll("the server answers", async () => {
      if (server.exitCode === null) return await isUp(server);
      const log = await readFile(join(folder, "log"), "utf8");
      // Somebody was quicker: it was free a moment ago.
      hasMoved = mayMove && log.includes("Address already in use");
      return hasMoved || log.slice(-500);
    });
    if (hasMoved) {
      await forget();
      port = await freePort();
      await start();
    }
    mayMove = false;
  };
  const stop = async (signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> => {
    await forget();
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const exited = once(running, "exit");
    running.kill("SIGCONT");
    running.kill(signal);
    const escalate = setTimeout(() => running.kill("SIGKILL"), 5000);
    await exited;
    clearTimeout(escalate);
  };
  await start();
  return {
    port,
    settings: { type: "single", address: { host: "127.0.0.1", port } },
    ask,
    start,
    stop,
    standStill: async () => {
      if (child?.pid !== undefined) await standStill(child.pid);
    },
    goOn: () => void child?.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      await stop("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function connect(port: number) {
  const client = createClient({
    RESP: 2,
    disableOfflineQueue: true,
    socket: { host: "127.0.0.1", port, reconnectStrategy: false },
  });
  client.on("error", () => undefined); // the next command meets it
  await client.connect();
  return client;
}

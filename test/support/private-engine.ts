import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poll } from "./poll.ts";
import { standStill } from "./stand-still.ts";

export interface PrivateEngineOptions {
  /** A bridge that exists already, for containers that name no network. Default: one of its own. */
  readonly bridge?: string;
  /** Isolation tests need it; otherwise two engines of one host would rewrite each other's chains. Default: off. */
  readonly iptables?: boolean;
  /** Program and arguments that run what follows them where the engine is to be, such as on a walled host. */
  readonly entrance?: readonly string[];
  /** Containers survive the engine's stop. Default: off. */
  readonly liveRestore?: boolean;
  /** Variables of the engine's own environment, besides this process's. */
  readonly env?: Readonly<Record<string, string>>;
  /** Runtimes besides runc, by the name that containers are given; read anew at each start, so a test may change it in between. */
  readonly runtimes?: Readonly<Record<string, EngineRuntime>>;
}

/** As in the engine's own configuration. */
export interface EngineRuntime {
  readonly path: string;
  readonly runtimeArgs?: readonly string[];
}

/** gVisor where neither KVM nor cgroups may be used, which is in most containers: it then enforces no limits. */
export const GVISOR: EngineRuntime = {
  path: "/usr/bin/runsc",
  runtimeArgs: ["--platform=ptrace", "--network=host", "--ignore-cgroups"],
};

/** The engine's own usual runtime under a second name: what is called `kata` and is none. */
export const PLAIN_RUNC: EngineRuntime = {
  path: ["/usr/sbin/runc", "/usr/bin/runc"].find((path) => existsSync(path)) ?? "runc",
};

/** A Docker engine of a test's own: own data, own socket, own bridge, loopback registries only. */
export interface PrivateEngine extends AsyncDisposable {
  readonly socketPath: string;
  /** Of the running engine. */
  readonly pid: number;
  start(): Promise<void>;
  /** SIGTERM, and waits for its end. */
  stop(): Promise<void>;
  /** Has it read its file anew while it runs: other runtimes count from then on. */
  reload(): Promise<void>;
  /** SIGKILL, and waits for its end. */
  kill(): Promise<void>;
  /** Until {@link goOn} it answers nothing. */
  standStill(): Promise<void>;
  goOn(): void;
}

/** Why no private engine can run here; `undefined` if one can. With `REQUIRE_DOCKER=1` a reason is a failure. */
export function whyNoEngine(): string | undefined {
  const reason = findReason();
  if (reason !== undefined && process.env["REQUIRE_DOCKER"] === "1") throw new Error(reason);
  return reason;
}

function findReason(): string | undefined {
  if (process.getuid?.() !== 0) return "a private Docker engine needs root";
  if (!["/usr/sbin/dockerd", "/usr/bin/dockerd"].some((path) => existsSync(path)))
    return "dockerd is not installed";
  if (!existsSync("/bin/busybox")) return "busybox-static is not installed";
  return undefined;
}

/** Starts an engine and waits until it answers. Disposing ends it with all that it runs, and removes its data. */
export async function openPrivateEngine(options: PrivateEngineOptions = {}): Promise<PrivateEngine> {
  // Short: a Unix socket's path has room for 107 bytes.
  const root = await mkdtemp(join(tmpdir(), "he-"));
  const engine = new Dockerd(root, options);
  try {
    await engine.start();
    return engine;
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

const MOST_STARTS = 3;

class Dockerd implements PrivateEngine {
  readonly socketPath: string;
  readonly #root: string;
  readonly #options: PrivateEngineOptions;
  readonly #bridge: string;
  #child: ChildProcess | undefined;

  constructor(root: string, options: PrivateEngineOptions) {
    this.#root = root;
    this.#options = options;
    this.socketPath = join(root, "s");
    this.#bridge = `hb${randomBytes(4).toString("hex")}`;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("the private engine does not run");
    return pid;
  }

  async start(): Promise<void> {
    await this.#makeBridge();
    await this.#writeConfig();
    for (let tries = 1; !(await this.#startOnce()); tries += 1) {
      if (tries === MOST_STARTS) throw new Error(`dockerd ended: ${await this.#logTail()}`);
    }
  }

  /** @returns `false` if it ended because its containerd, which it gives 15 seconds, was not there in time. */
  async #startOnce(): Promise<boolean> {
    await this.#forgetDeadContainerd();
    const logged = (await this.#log()).length;
    const log = openSync(join(this.#root, "log"), "a");
    const env = { ...process.env, ...this.#options.env };
    const [program = "", ...words] = [...(this.#options.entrance ?? []), "dockerd", ...this.#arguments()];
    const child = spawn(program, words, { stdio: ["ignore", log, log], env });
    this.#child = child;
    let isUp = false;
    await poll("the private engine answers", async () => {
      const hasEnded = child.exitCode !== null || child.signalCode !== null;
      if (hasEnded && !isLateContainerd((await this.#log()).slice(logged)))
        throw new Error(`dockerd ended: ${await this.#logTail()}`);
      isUp = !hasEnded && (await ping(this.socketPath));
      return isUp || hasEnded || (await this.#logTail());
    });
    return isUp;
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async reload(): Promise<void> {
    await this.#writeConfig();
    const before = await this.#reloads();
    process.kill(this.pid, "SIGHUP");
    await poll("the private engine has read its file anew", async () => {
      const reloads = await this.#reloads();
      return reloads > before || `${reloads} times so far`;
    });
  }

  async #writeConfig(): Promise<void> {
    const { runtimes = {} } = this.#options;
    await writeFile(join(this.#root, "daemon.json"), JSON.stringify({ runtimes }));
  }

  async #reloads(): Promise<number> {
    return (await this.#log()).split("Reloaded configuration").length - 1;
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async standStill(): Promise<void> {
    await standStill(this.pid);
  }

  goOn(): void {
    process.kill(this.pid, "SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child === undefined) await this.start().catch(() => undefined); // to remove what its earlier life made
    if (this.#child?.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGCONT");
      await removeAll(this.socketPath);
      await this.#end("SIGTERM", 20_000);
    }
    await this.#endContainerd();
    await unmountBelow(this.#root);
    await this.#ip("link", "delete", this.#bridge);
    await rm(this.#root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  #arguments(): readonly string[] {
    const { iptables = false, liveRestore = false } = this.#options;
    return [
      `--config-file=${this.#root}/daemon.json`,
      `--data-root=${this.#root}/d`,
      `--exec-root=${this.#root}/x`,
      `--pidfile=${this.#root}/p`,
      `--host=unix://${this.socketPath}`,
      // Never "none": an engine without a bridge deletes every `docker0` that it finds, also another engine's.
      `--bridge=${this.#bridge}`,
      `--iptables=${iptables}`,
      "--ip6tables=false",
      "--ip-masq=false",
      `--live-restore=${liveRestore}`,
    ];
  }

  async #makeBridge(): Promise<void> {
    if (existsSync(`/sys/class/net/${this.#bridge}`)) return;
    await this.#ip("link", "add", this.#bridge, "type", "bridge");
    await this.#ip("address", "add", `${freeAddress()}/24`, "dev", this.#bridge);
    await this.#ip("link", "set", this.#bridge, "up");
  }

  async #ip(...words: readonly string[]): Promise<void> {
    const [program = "", ...rest] = [...(this.#options.entrance ?? []), "ip", ...words];
    await command(program, rest);
  }

  async #end(name: NodeJS.Signals, patienceMs = 30_000): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(name);
    const escalate = setTimeout(() => child.kill("SIGKILL"), patienceMs);
    await exited;
    clearTimeout(escalate);
  }

  /** Where nobody reaps what a killed engine leaves, the next one takes the dead containerd for a live one and waits for it. */
  async #forgetDeadContainerd(): Promise<void> {
    const path = join(this.#root, "x", "containerd", "containerd.pid");
    const pid = (await readFile(path, "utf8").catch(() => "")).trim();
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    if (pid !== "" && (stat === "" || stat.includes(") Z "))) await rm(path, { force: true });
  }

  /** An engine that was killed leaves its containerd behind; the next one takes it over, the last one has to end it. */
  async #endContainerd(): Promise<void> {
    const path = join(this.#root, "x", "containerd", "containerd.pid");
    const pid = Number(await readFile(path, "utf8").catch(() => ""));
    if (!Number.isInteger(pid) || pid <= 1) return;
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes(this.#root)) process.kill(pid, "SIGTERM");
  }

  async #log(): Promise<string> {
    return await readFile(join(this.#root, "log"), "utf8").catch(() => "");
  }

  async #logTail(): Promise<string> {
    return (await this.#log()).slice(-1000);
  }
}

/** One for a bridge, in a network that no other one of this host has. */
function freeAddress(): string {
  // Not `networkInterfaces()`, which leaves out bridges that nothing is plugged into.
  const taken = readFileSync("/proc/net/fib_trie", "utf8");
  for (let tries = 0; tries < 1000; tries += 1) {
    const [a = 0, b = 0] = randomBytes(2);
    const address = `10.${200 + (a % 10)}.${b}.1`;
    if (!taken.includes(`-- ${address}\n`)) return address;
  }
  throw new Error("no network is free for a bridge");
}

/** On a machine that is busy or stands still; whoever runs an engine as a service has it started again, too. */
function isLateContainerd(log: string): boolean {
  return /failed to start containerd: timeout|timeout waiting for containerd|failed to dial .*containerd/.test(
    log,
  );
}

function ping(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request({ socketPath, path: "/_ping", timeout: 2000 }, (reply) => {
      reply.resume();
      reply.on("end", () => resolve(reply.statusCode === 200));
    });
    call.on("error", () => resolve(false));
    call.on("timeout", () => call.destroy());
    call.end();
  });
}

/**
 * Removes what runs and every network: an engine that only stops leaves its networks' bridges, routes and firewall rules on
 * the host, where they shadow those of the next one. As far as it can: a broken engine must not keep a test from its end.
 */
async function removeAll(socketPath: string): Promise<void> {
  const containers = (await ask(socketPath, "GET", "/containers/json?all=1")) as { Id: string }[] | undefined;
  await Promise.all(
    (containers ?? []).map(({ Id }) => ask(socketPath, "DELETE", `/containers/${Id}?force=1&v=1`)),
  );
  const networks = (await ask(socketPath, "GET", "/networks")) as { Id: string; Name: string }[] | undefined;
  const own = (networks ?? []).filter(({ Name }) => !["bridge", "host", "none"].includes(Name));
  for (const { Id } of own) await ask(socketPath, "DELETE", `/networks/${Id}`);
}

/** @returns the parsed answer; `undefined` for none in time, or none that is JSON. */
function ask(socketPath: string, method: "GET" | "DELETE", path: string): Promise<unknown> {
  return new Promise((resolve) => {
    const call = request({ socketPath, method, path, timeout: 15_000 }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on("data", (chunk: Buffer) => chunks.push(chunk));
      reply.on("error", () => resolve(undefined));
      reply.on("end", () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()));
        } catch {
          resolve(undefined);
        }
      });
    });
    call.on("error", () => resolve(undefined));
    call.on("timeout", () => call.destroy());
    call.end();
  });
}

/** What a killed engine left mounted would keep its folder from being removed. */
async function unmountBelow(root: string): Promise<void> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  const below = mounts
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${root}/`));
  for (const path of below.reverse()) await command("umount", ["-l", path]);
}

async function command(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: "ignore" });
  await once(child, "exit");
}

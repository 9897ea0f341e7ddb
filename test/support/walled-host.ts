import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { poll } from "./poll.ts";

const execute = promisify(execFile);
const WORLD = fileURLToPath(new URL("world-beyond.mjs", import.meta.url));

/** Own mounts, so that names of networks and `/sys/class/net` are this host's own; cgroups stay the machine's. */
const MAKE_HOST = `
set -e
mount --make-rprivate /
cgroups=$(mktemp -d); mount --rbind /sys/fs/cgroup $cgroups
mount -t sysfs none /sys; mount --rbind $cgroups /sys/fs/cgroup; umount -l $cgroups; rmdir $cgroups
mkdir -p /run/netns; mount -t tmpfs none /run/netns
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo ready; exec cat`;

/** Addresses of the walled host besides its loopback. */
export const HOST_ADDRESSES = ["10.98.0.1", "198.51.100.1", "169.254.169.253"] as const;
export const HOST_ADDRESS_6 = "fd00:99::1";
/** Addresses at which the world beyond answers; the host's default route leads there. */
export const BEYOND = {
  metadata: "169.254.169.254",
  private: "10.99.0.5",
  otherPrivate: "192.168.77.5",
  carrier: "100.64.7.7",
  public: "203.0.113.10",
  names: "10.98.0.2",
} as const;

/**
 * A host within this one, in a network and with mounts of its own, so that nothing that a test does to its firewall, its routes and
 * its settings concerns the machine. Behind its only cable is one program that stands in for all the rest of the world.
 */
export interface WalledHost extends AsyncDisposable {
  /** Program and arguments that run what follows them on this host. */
  readonly entrance: readonly string[];
  /** Runs a program there. @returns what it printed. @throws Error with what it said. */
  run(...command: readonly [string, ...string[]]): Promise<string>;
}

/** Disposing ends both; so does the end of this process, whichever. */
export async function openWalledHost(): Promise<WalledHost> {
  const { child: host } = await begin([
    "unshare",
    "--mount",
    "--net",
    "--propagation",
    "private",
    "sh",
    "-c",
    MAKE_HOST,
  ]);
  const entrance = ["nsenter", "-t", String(host.pid), "--mount", "--net", `--wd=${process.cwd()}`, "--"];
  const children = [host];
  const run: WalledHost["run"] = async (...command) => {
    const [program = "", ...rest] = [...entrance, ...command];
    return (await execute(program, rest)).stdout;
  };
  const walled: WalledHost = {
    entrance,
    run,
    async [Symbol.asyncDispose]() {
      await Promise.all(children.map(end));
    },
  };
  try {
    const world = await begin([...entrance, "unshare", "--net", process.execPath, WORLD, BEYOND.names]);
    children.push(world.child);
    await connect(run, world.child.pid ?? 0);
    // Its name server has the address that it was given here.
    await world.untilSaid("names");
    return walled;
  } catch (error) {
    await walled[Symbol.asyncDispose]();
    throw error;
  }
}

async function connect(run: WalledHost["run"], world: number): Promise<void> {
  const there = (...words: string[]): Promise<string> =>
    run("nsenter", "-t", String(world), "--net", "--", "ip", ...words);
  await run("ip", "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", String(world));
  await there("link", "set", "lo", "up");
  await there("address", "add", `${BEYOND.names}/30`, "dev", "in");
  await there("link", "set", "in", "up");
  for (const address of Object.values(BEYOND).filter((one) => one !== BEYOND.names))
    await there("address", "add", `${address}/32`, "dev", "lo");
  const [outer, ...others] = HOST_ADDRESSES;
  await run("ip", "address", "add", `${outer}/30`, "dev", "out");
  await run("ip", "link", "set", "out", "up");
  await run("ip", "route", "add", "default", "via", BEYOND.names);
  for (const address of others) await run("ip", "address", "add", `${address}/32`, "dev", "lo");
  await run("ip", "-6", "address", "add", `${HOST_ADDRESS_6}/64`, "dev", "lo", "nodad");
}

interface Begun {
  readonly child: ChildProcess;
  /** Resolves once it has said this word on its output. */
  untilSaid(word: string): Promise<void>;
}

/** Starts a program that says when it is `ready`; its standard input ends with us. */
async function begin([program = "", ...args]: readonly string[]): Promise<Begun> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  let complaints = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    complaints += chunk.toString();
  });
  const untilSaid = async (word: string): Promise<void> => {
    await poll(`${program} says ${word}`, () => {
      if (child.exitCode !== null) throw new Error(`${program} ended: ${complaints}`);
      return said.includes(word) || `so far: ${said}${complaints}`;
    });
  };
  await untilSaid("ready");
  return { child, untilSaid };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { poll } from "./poll.ts";

/** A real S3 server: OpenStack Swift with its S3 API, from Debian's packages. */
export interface Swift extends AsyncDisposable {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

const STORES = ["account", "container", "object"] as const;

/** Starts Swift's four servers on free loopback ports, all they keep in a folder of their own. Ended by their pids. */
export async function startSwift(): Promise<Swift> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-swift-"));
  const proxyPort = await freePort();
  const ports: number[] = [];
  for (const _ of STORES) ports.push(await freePort());
  const etc = join(folder, "etc");
  const devices = join(folder, "srv");
  await mkdir(etc);
  await mkdir(join(devices, "d1"), { recursive: true });
  await writeFile(join(etc, "swift.conf"), SWIFT_CONF);
  for (const [i, store] of STORES.entries()) {
    await writeFile(join(etc, `${store}-server.conf`), storeConf(store, ports[i]!, etc, devices));
    for (const step of [
      ["create", "4", "1", "0"],
      ["add", `r1z1-127.0.0.1:${ports[i]}/d1`, "1"],
      ["rebalance"],
    ])
      build(etc, `${store}.builder`, step);
  }
  await writeFile(join(etc, "proxy-server.conf"), proxyConf(proxyPort, etc));
  const servers = await Promise.all([...STORES, "proxy"].map((name) => start(folder, etc, name)));
  const end = async (): Promise<void> => {
    await Promise.all(servers.map(endServer));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const endpoint = `http://127.0.0.1:${proxyPort}`;
    // The proxy comes last: it would not ask again for a minute those that it met before they listened.
    for (const port of [...ports, proxyPort])
      await poll("Swift answers", () => answers(`http://127.0.0.1:${port}`, folder, servers), 60_000);
    return { endpoint, accessKey: "test:tester", secretKey: "testing", [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

function build(etc: string, builder: string, step: readonly string[]): void {
  const [verb = "", ...rest] = step;
  const ran = spawnSync("swift-ring-builder", [builder, verb, ...rest], { cwd: etc, encoding: "utf8" });
  // It ends with 1 when it only warns, as of a ring with one device.
  if (ran.error !== undefined || (ran.status ?? 9) > 1) throw new Error(ran.error?.message ?? ran.stdout);
}

async function start(folder: string, etc: string, name: string): Promise<ChildProcess> {
  const { open } = await import("node:fs/promises");
  await using log = await open(join(folder, `${name}.log`), "w");
  return spawn(`swift-${name}-server`, [join(etc, `${name}-server.conf`)], {
    cwd: folder,
    stdio: ["ignore", log.fd, log.fd],
  });
}

async function answers(
  endpoint: string,
  folder: string,
  servers: readonly ChildProcess[],
): Promise<true | string> {
  for (const [i, server] of servers.entries())
    if (server.exitCode !== null)
      throw new Error(await readFile(join(folder, `${[...STORES, "proxy"][i]}.log`), "utf8"));
  try {
    // Any answer will do; it wants a signature that this request does not have.
    return (await fetch(endpoint)).status > 0 || "no status";
  } catch (error) {
    return String(error);
  }
}

async function endServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGKILL");
  await ended;
}

const SWIFT_CONF = `[swift-hash]
swift_hash_path_prefix = x
swift_hash_path_suffix = y
[storage-policy:0]
name = gold
default = yes
`;

const storeConf = (store: string, port: number, etc: string, devices: string): string => `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
user = ${userInfo().username}
swift_dir = ${etc}
devices = ${devices}
mount_check = false
workers = 0
disable_fallocate = true
[pipeline:main]
pipeline = ${store}-server
[app:${store}-server]
use = egg:swift#${store}
# On a busy machine their half of a second to connect leaves listings behind, which nobody here brings up to date.
conn_timeout = 20
node_timeout = 60
container_update_timeout = 60
`;

const FILTERS = {
  tempauth: "user_test_tester = testing .admin",
  catch_errors: "",
  "proxy-logging": "",
  // Nothing listens there: Swift does without.
  cache: "memcache_servers = 127.0.0.1:9",
  bulk: "",
  slo: "",
  dlo: "",
} as const;

const proxyConf = (port: number, etc: string): string => `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
user = ${userInfo().username}
swift_dir = ${etc}
workers = 0
[pipeline:main]
pipeline = catch_errors proxy-logging cache s3api tempauth bulk slo dlo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
# Its own half of a second makes errors that nobody meant.
error_suppression_limit = 1000000
conn_timeout = 20
node_timeout = 60
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
allow_no_owner = true
${Object.entries(FILTERS)
  .map(
    ([name, more]) =>
      `[filter:${name}]\nuse = egg:swift#${name === "cache" ? "memcache" : name.replace("-", "_")}\n${more}\n`,
  )
  .join("")}`;

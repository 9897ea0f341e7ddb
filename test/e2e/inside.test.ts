import { randomInt } from "node:crypto";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshName } from "../support/fresh-name.ts";
import { buildTaskImage } from "../support/images.ts";
import { ask, call } from "../support/legacy-call.ts";
import type { TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import { outputOf, runProgram } from "../support/run-program.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { freePort } from "../support/start-daemon.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const reason = whyNoEngine();
const SMALL = { resource: { cpu: 0.2, mem: 64 } };
const OTHER = { resource: { cpu: 0.2, mem: 65 } };
/** Runs what it is sent as a shell command and answers with its output and exit status. */
const SHELL = {
  main: "nc -ll -p 8080 -e /handler & server=$!; echo meca-init-done; wait $server",
  reply: 'body=$(eval "$body" 2>&1; echo "rc=$?")',
};

/** What a task must not be able to do. Each has to work in a container with privileges first, or it would prove nothing. */
const PROBES: readonly (readonly [about: string, command: string])[] = [
  ["mount a file system", "mkdir -p /tmp/m && busybox mount -t tmpfs none /tmp/m"],
  ["mount the process file system anew", "mkdir -p /tmp/p && busybox mount -t proc none /tmp/p"],
  ["write a kernel setting", "v=$(cat /proc/sys/kernel/panic) && echo $v > /proc/sys/kernel/panic"],
  ["make a device", "busybox rm -f /tmp/disk; busybox mknod /tmp/disk b 8 0"],
  ["open a raw socket", "busybox traceroute -n -q 1 -m 1 -w 1 -I 127.0.0.1"],
  ["change its network", "busybox ip addr add 127.9.9.9/8 dev lo && busybox ip addr del 127.9.9.9/8 dev lo"],
  ["add a route", "busybox ip route add 10.99.99.0/24 dev lo && busybox ip route del 10.99.99.0/24 dev lo"],
  ["change its host's name", "busybox hostname $(busybox hostname)"],
  ["enter a name space", "busybox nsenter -t 1 -m /bin/busybox true"],
  ["make a name space", "busybox unshare -m /bin/busybox true"],
  ["change its root", "busybox chroot / /bin/busybox true"],
  ["read the kernel's log", "busybox dmesg"],
  ["give a file away", "echo > /tmp/f && busybox chown 1000 /tmp/f"],
  [
    "become another user",
    "busybox mkdir -p /etc && echo u:x:1000:1000::/:/bin/sh > /etc/passwd && busybox su -s /bin/sh u -c true",
  ],
  ["find a socket of the engine, or any other", "busybox find / -type s 2>/dev/null | busybox grep ."],
];

/** One HTTP request by hand; stays until the answer is there. */
const askApi = (address: string, port: number, path: string): string =>
  `{ printf '${path} HTTP/1.1\\r\\nHost: ${address}\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n'; busybox sleep 0.3; } | busybox nc -w 2 ${address} ${port}`;
const ask8080 = (address: string): string => askApi(address, 8080, "POST /");
const connect = (address: string, port: number): string => `busybox nc -w 3 ${address} ${port} </dev/null`;

/** A network of no task, and two addresses in it. */
interface Neighbourhood {
  readonly subnet: string;
  readonly gateway: string;
  readonly address: string;
}

/** One that no interface of this machine is in, also none that an engine has left behind. */
function findNeighbourhood(): Neighbourhood {
  const taken = Object.values(networkInterfaces()).flatMap((faces) =>
    (faces ?? []).map(({ address }) => address),
  );
  for (;;) {
    const start = `172.31.${randomInt(100, 240)}`;
    if (taken.some((address) => address.startsWith(`${start}.`))) continue;
    return { subnet: `${start}.0/24`, gateway: `${start}.1`, address: `${start}.250` };
  }
}

interface End {
  readonly output: string;
  readonly code: number;
}

/** A daemon somewhere, and every address at which a task could look for its API. */
interface Layout extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly port: number;
  /** The daemon's own, beside those of the host. */
  readonly address: string;
  /** A network of no task, and the API's address as seen from there. */
  readonly neighbour: { readonly network: string; readonly address: string };
  /** Runs a command where the daemon runs. */
  beside(command: string): Promise<End>;
}

describe.skipIf(reason !== undefined)(`inside a task${reason === undefined ? "" : ` (${reason})`}`, () => {
  let host: TestHost;
  let image: string;
  let outside: Neighbourhood;
  /** A container that may do everything: what proves that a probe can succeed. */
  let control: string;
  const docker = (...args: string[]): Promise<string> =>
    outputOf("docker", args, { env: { DOCKER_HOST: `unix://${host.engine.socketPath}` } });

  beforeAll(async () => {
    // With its rules: what keeps tasks apart is tested here.
    host = await openTestHost({ iptables: true });
    image = await buildTaskImage(host.docker, "shell", SHELL);
    const socket = ["-v", `${host.engine.socketPath}:/run/docker.sock`];
    // By name and not `--privileged`: a machine may itself lack some of those.
    const capabilities = ["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "MKNOD", "SYS_CHROOT", "SYSLOG", "SYS_PTRACE"];
    const unconfined = ["seccomp", "apparmor", "systempaths"].map(
      (what) => `--security-opt=${what}=unconfined`,
    );
    control = await docker(
      ...["run", "-d", "--net=none", ...capabilities.map((name) => `--cap-add=${name}`), ...unconfined],
      ...[...socket, image],
    );
    outside = findNeighbourhood();
    await docker("network", "create", `--subnet=${outside.subnet}`, "outside");
    await docker("run", "-d", "--net=outside", `--ip=${outside.address}`, image);
  }, 180_000);
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  }, 180_000);

  /** Runs a command in a task. A probe that could not run at all is an error and no refusal. */
  async function inTask({ daemon }: Layout, command: string, wish = SMALL): Promise<End> {
    const { success, msg } = await call(daemon, image, command, wish);
    const match = /^(?<output>[\s\S]*)rc=(?<code>\d+)$/.exec(msg);
    if (!success || match?.groups === undefined) throw new Error(`the probe itself failed: ${msg}`);
    const end = { output: match.groups["output"] ?? "", code: Number(match.groups["code"]) };
    if (/not found|No such file|applet/.test(end.output))
      throw new Error(`the probe itself failed: ${end.output}`);
    return end;
  }

  /** Tries what has to work: a machine that stands still may outlast the patience of a single try. */
  async function worksIn(run: (command: string) => Promise<End>, command: string): Promise<void> {
    await poll(command, async () => {
      const { code, output } = await run(command);
      return code === 0 || `${code} ${output}`;
    });
  }

  const onHost = (command: string): Promise<End> => run("busybox", ["sh", "-c", command]);

  async function run(program: string, args: readonly string[]): Promise<End> {
    const env = { DOCKER_HOST: `unix://${host.engine.socketPath}` };
    const { code, stdout, stderr } = await runProgram(program, args, { env });
    return { output: stdout + stderr, code };
  }

  /** A task's address in its own network. */
  async function addressOf(layout: Layout, wish: typeof SMALL): Promise<string> {
    const { output } = await inTask(layout, "busybox ip -4 addr show scope global", wish);
    const [, address] = /inet ([\d.]+)\//.exec(output) ?? [];
    if (address === undefined) throw new Error(`no address in ${output}`);
    return address;
  }

  async function openOnHost(): Promise<Layout> {
    const port = await freePort();
    const env = { HEARTH_HTTP_HOST: "0.0.0.0" };
    const daemon = await host.start({ config: "cpu: 2\nmem: 512\ntimeout: 60\n", port, env });
    return {
      daemon,
      port,
      address: "127.0.0.1",
      neighbour: { network: "outside", address: outside.gateway },
      beside: onHost,
      [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
    };
  }

  async function openInContainer(): Promise<Layout> {
    const env = { DOCKER_HOST: `unix://${host.engine.socketPath}` };
    await outputOf("sh", [join(root, "scripts/node-base-image.sh"), "hearth-node-base"], { env });
    const home = findNeighbourhood();
    await docker("network", "create", `--subnet=${home.subnet}`, "mecanywhere");
    const settings = [
      "HEARTH_IN_CONTAINER=1",
      "HEARTH_STATE_DIR=/tmp/state",
      // A task that is to be reached is there for as long as a busy machine takes.
      "HEARTH_TIMEOUT=60",
      `HEARTH_DOCKER_OWNER=${freshName("owner")}`,
    ];
    const mounts = [
      `${root}dist:/app/dist:ro`,
      `${root}package.json:/app/package.json:ro`,
      `${host.engine.socketPath}:/var/run/docker.sock`,
    ];
    const container = await docker(
      ...["run", "-d", "--net=mecanywhere", `--ip=${home.address}`],
      ...settings.flatMap((one) => ["-e", one]),
      ...mounts.flatMap((one) => ["-v", one]),
      ...["hearth-node-base", "node", "/app/dist/hearth.mjs", "serve"],
    );
    const daemon = { baseUrl: `http://${home.address}:2591` } as Daemon;
    const isWell = (): Promise<boolean> =>
      ask(daemon, "/health").then(
        ({ status }) => status === 200,
        () => false,
      );
    await poll(
      "the daemon in the container is well",
      async () => (await isWell()) || docker("logs", container),
      90_000,
    );
    return {
      daemon,
      port: 2591,
      address: home.address,
      neighbour: { network: "mecanywhere", address: home.address },
      beside: (command) => run("docker", ["exec", container, "sh", "-c", command]),
      async [Symbol.asyncDispose]() {
        await docker("stop", container);
        await docker("rm", container);
        await docker("network", "rm", "mecanywhere");
      },
    };
  }

  describe.each([
    { about: "of a daemon on the host, which listens on all its addresses", open: openOnHost },
    { about: "of a daemon in a container", open: openInContainer },
  ])("$about", ({ open }) => {
    let layout: Layout;
    let address: string;
    let other: string;

    beforeAll(async () => {
      layout = await open();
      address = await addressOf(layout, SMALL);
      other = await addressOf(layout, OTHER);
    }, 180_000);
    afterAll(async () => {
      await layout[Symbol.asyncDispose]();
    }, 180_000);

    test("S: a task reaches itself, and what it is probed with works", async () => {
      const inside = (command: string): Promise<End> => inTask(layout, command);
      await worksIn(inside, connect("127.0.0.1", 8080));
      await worksIn(inside, connect(address, 8080));
      await poll("its own server answers it", async () => {
        const { output } = await inside(ask8080("127.0.0.1"));
        return output.includes("HTTP/1.1 200") || output;
      });
      const { network, address: api } = layout.neighbour;
      const asked = ["/bin/sh", "-c", askApi(api, layout.port, "GET /stats")];
      await poll("a container that is no task is answered", async () => {
        const { output } = await run("docker", ["run", "--rm", `--net=${network}`, image, ...asked]);
        return output.includes('"task_cpu"') || output;
      });
    });

    test("S: a task gets nothing from the API at any address, and changes nothing there", async () => {
      const ofHost = Object.values(networkInterfaces()).flatMap((faces) => faces ?? []);
      const near = [1, 3, 4, 5, 6].map((last) =>
        address.replace(/\d+$/, (own) => String(Number(own) - 2 + last)),
      );
      const addresses = new Set([
        layout.address,
        ...ofHost.filter(({ family }) => family === "IPv4").map((face) => face.address),
        ...near,
      ]);
      const seen: string[] = [];
      const probe = async (one: string): Promise<void> => {
        for (const path of ["GET /stats", "POST /pause", "GET /v1/config", "GET /openapi.json"]) {
          const { output } = await inTask(layout, askApi(one, layout.port, path));
          const [, status] = /^HTTP\/1.1 (\d+)/.exec(output) ?? [];
          if (status === undefined) return; // Nothing answers at this address.
          seen.push(`${one} ${path} ${status}`);
        }
      };
      const all = [...addresses];
      for (let at = 0; at < all.length; at += 8) await Promise.all(all.slice(at, at + 8).map(probe));
      expect(seen.filter((line) => !line.endsWith(" 403"))).toEqual([]);
      expect((await ask(layout.daemon, "/v1/host")).json).toMatchObject({ state: "running" });
    }, 300_000);

    test("S: a task does not reach another one, whose server the daemon reaches", async () => {
      expect(other).not.toBe(address);
      await worksIn((command) => layout.beside(command), connect(other, 8080));
      expect((await inTask(layout, connect(other, 8080))).code).not.toBe(0);
    });

    test("S: a task does not reach what the host reaches beyond itself", async () => {
      await worksIn(onHost, connect(outside.address, 8080));
      expect((await inTask(layout, connect(outside.address, 8080))).code).not.toBe(0);
      expect((await inTask(layout, connect("169.254.169.254", 80))).code).not.toBe(0);
    });

    test("S: a task cannot raise its own limits, which it can read", async () => {
      // Ends with 0, which is the failure here, also when there is nothing to read.
      const files = "/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max";
      const raise = `for f in ${files}; do [ -e $f ] || continue; v=$(cat $f) || exit 0; echo $v > $f; exit $?; done; exit 0`;
      expect((await inTask(layout, `(${raise})`)).code).not.toBe(0);
    });

    test.each(PROBES)("S: a task cannot %s, which a container with privileges can", async (_, command) => {
      const proof = await docker("exec", control, "/bin/sh", "-c", `(${command}) 2>&1; echo "rc=$?"`);
      expect(proof).toMatch(/rc=0$/);
      const end = await inTask(layout, `(${command})`);
      expect(end.code, end.output).not.toBe(0);
    });
  });
});

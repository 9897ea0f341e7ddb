import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../src/contract/v1/host.ts";
import type { NetworkPolicy } from "../../src/core/index.ts";
import { freshName } from "../support/fresh-name.ts";
import { buildTaskImage } from "../support/images.ts";
import { poll } from "../support/poll.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { rangeOf } from "../support/range-of.ts";
import { outputOf } from "../support/run-program.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { freePort, startDaemon } from "../support/start-daemon.ts";
import type { WalledHost } from "../support/walled-host.ts";
import { BEYOND, HOST_ADDRESS_6, HOST_ADDRESSES, openWalledHost } from "../support/walled-host.ts";

const reason = whyNoEngine();
const RELAY = fileURLToPath(new URL("../support/door-relay.mjs", import.meta.url));
/** Runs what it is sent as a shell command and answers with its output. */
const SHELL = {
  main: "nc -ll -p 8080 -e /handler & server=$!; echo meca-init-done; wait $server",
  reply: 'body=$(eval "$body" 2>&1; echo "rc=$?")',
};
/** A service of the host on all its addresses, and the two ports at which all beyond the host answers. */
const [SERVICE, OPEN, OTHER] = [7072, 7070, 7071];
const [FACE, SECOND] = HOST_ADDRESSES;

/** What there is to be reached, and what says that it was. */
const PLACES = {
  "a public address": [BEYOND.public, OPEN, "beyond"],
  "a private address": [BEYOND.private, OPEN, "beyond"],
  "another port there": [BEYOND.private, OTHER, "beyond"],
  "another private address": [BEYOND.otherPrivate, OPEN, "beyond"],
  "an address of a carrier": [BEYOND.carrier, OPEN, "beyond"],
  "cloud metadata": [BEYOND.metadata, OPEN, "beyond"],
  "the host, at its cable": [FACE, SERVICE, "served"],
  "the host, at another address": [SECOND, SERVICE, "served"],
  "the host, at an address of IPv6": [HOST_ADDRESS_6, SERVICE, "served"],
} as const;
type Place = keyof typeof PLACES;

const dial = (address: string, port: number): string =>
  `busybox timeout 4 busybox nc -w 3 ${address} ${port} </dev/null`;
/** Says so once it is connected, and hangs up. */
const connects = (address: string, port: number): string =>
  `busybox timeout 15 busybox nc -w 10 ${address} ${port} -e /bin/sh -c 'echo connected >&2'`;
/** Of what has to work. */
const TRIES = 5;
const ask = `busybox timeout 8 busybox nslookup outside.example`;

interface Served extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly port: number;
  /** What a task printed, without its status. */
  inTask(policy: NetworkPolicy, command: string, mem?: number): Promise<string>;
  get(path: string): Promise<unknown>;
}

/*
 * In the engine's own runtime only. That gVisor's network stack (`--network=sandbox`) is held by the same rules could not be shown: the
 * `runsc` that is packaged for these tests refuses to start with it under recent kernels ("cannot run with network enabled in root
 * network namespace", seen under Linux 6.18). The rules go by addresses and interfaces of the host, outside it.
 */
describe.skipIf(reason !== undefined)(reason ?? "what a task in a container reaches", () => {
  /** What is to be ended, the last first; also when the rest could not be begun. */
  const open: (() => unknown)[] = [];
  let walled: WalledHost;
  let engine: PrivateEngine;
  let image: string;
  let folder: string;
  let plain: Served;
  const docker = (...args: string[]): Promise<string> =>
    outputOf("docker", args, { env: { DOCKER_HOST: `unix://${engine.socketPath}` } });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hw-"));
    open.push(() => rm(folder, { recursive: true, force: true }));
    walled = await openWalledHost();
    open.push(() => walled[Symbol.asyncDispose]());
    // With its rules, as engines have them: what it drops ours cannot let through.
    engine = await openPrivateEngine({ iptables: true, entrance: walled.entrance });
    open.push(() => engine[Symbol.asyncDispose]());
    image = await buildTaskImage(new Docker({ socketPath: engine.socketPath }), "shell", SHELL);
    const program = `require("net").createServer((one) => one.on("error", () => 0).end("served")).listen(${SERVICE}, "::", () => console.log("ready"))`;
    const service = await begin([...walled.entrance, process.execPath, "-e", program]);
    open.push(() => service.kill("SIGKILL"));
    await docker("network", "create", "--subnet=10.221.77.0/24", "bystander");
    await docker("run", "-d", "--name=bystander", "--net=bystander", image);
    plain = await serve("");
  }, 300_000);
  afterAll(async () => {
    for (const end of open.reverse()) await end();
  }, 180_000);

  /** A daemon on the walled host, and a way to it. */
  async function serve(allow: string): Promise<Served> {
    const port = await freePort();
    const owner = freshName("inside");
    const socketPath = join(folder, owner);
    const range = rangeOf(owner, 24);
    const daemon = await startDaemon({
      under: walled.entrance,
      port,
      waits: false,
      env: { DOCKER_HOST: `unix://${engine.socketPath}`, HEARTH_HTTP_HOST: "0.0.0.0" },
      // Tasks that are looked for stay while they are, however slow the machine is.
      config: `driver: docker\ncpu: 2\nmem: 1024\ntimeout: 60\ndocker: {owner: ${owner}, network_range: ${range}, networks_ahead: 1}\nnetwork: {dns: [${BEYOND.names}], allow: [${allow}]}\n`,
    });
    open.push(() => daemon[Symbol.asyncDispose]());
    const relay = await begin([...walled.entrance, process.execPath, RELAY, socketPath, String(port)]);
    open.push(() => relay.kill("SIGKILL"));
    const send = (method: string, path: string, body?: unknown): Promise<Answer> =>
      sendOver(socketPath, method, path, body);
    await poll(
      "the daemon is well",
      async () => {
        if (daemon.child.exitCode !== null) throw new Error(`the daemon ended: ${daemon.log().slice(-1500)}`);
        const answer = await send("GET", "/health").catch(() => undefined);
        return answer?.status === 200 || daemon.log().slice(-1500);
      },
      90_000,
    );
    return {
      daemon,
      port,
      async inTask(network, command, mem = 32) {
        const answer = await send("POST", "/", {
          id: image,
          input: command,
          network,
          resource: { cpu: 0.2, mem },
        });
        const { success, msg = "" } = (answer.json ?? {}) as { success?: boolean; msg?: string };
        const match = /^(?<output>[\s\S]*)rc=\d+$/.exec(msg);
        if (success !== true || match === null)
          throw new Error(`the probe itself failed: ${JSON.stringify(answer.json)}`);
        const output = match.groups?.["output"] ?? "";
        if (/applet not found|: not found/.test(output))
          throw new Error(`the probe itself failed: ${output}`);
        return output;
      },
      get: async (path) => (await send("GET", path)).json,
      async [Symbol.asyncDispose]() {
        await daemon[Symbol.asyncDispose]();
        relay.kill("SIGKILL");
      },
    };
  }

  /**
   * The places that answered, asked by whatever runs a command. All are asked; those that should answer again, if they did not: a
   * machine that stands still may outlast the patience of a single try.
   */
  async function reached(
    run: (command: string) => Promise<string>,
    expected: readonly Place[],
  ): Promise<readonly Place[]> {
    const found = new Set<Place>();
    const all = Object.keys(PLACES) as Place[];
    let open = all;
    for (let round = 0; round < TRIES && open.length > 0; round += 1) {
      await Promise.all(
        open.map(async (place) => {
          const [address, port, sign] = PLACES[place];
          if ((await run(dial(address, port))).includes(sign)) found.add(place);
        }),
      );
      open = expected.filter((place) => !found.has(place));
    }
    return all.filter((place) => found.has(place));
  }

  /** What a command prints that has to work: the first output of a few tries that is right, or else the last one. */
  async function works(run: () => Promise<string>, isRight: (output: string) => boolean): Promise<string> {
    let output = "";
    for (let round = 0; round < TRIES && !isRight(output); round += 1) output = await run();
    return output;
  }

  const byBystander = (command: string): Promise<string> =>
    docker("exec", "bystander", "/bin/sh", "-c", `${command} 2>&1; true`);
  const byHost = (command: string): Promise<string> =>
    walled.run("busybox", "sh", "-c", `${command} 2>&1; true`);
  const tables = async (): Promise<readonly string[]> =>
    (await walled.run("nft", "list", "tables")).match(/hearth_\w+/g) ?? [];

  test("D11: what tasks are probed with is there: the host and a container of somebody else reach all of it", async () => {
    const all = Object.keys(PLACES) as Place[];
    expect(await reached(byHost, all)).toEqual(all);
    // Networks of this engine have no IPv6.
    const ofIpv4 = all.filter((place) => !/IPv6/.test(place));
    expect(await reached(byBystander, ofIpv4)).toEqual(ofIpv4);
    const isOpen = (output: string): boolean => /^connected$/m.test(output);
    expect(await works(() => byHost(connects(FACE, plain.port)), isOpen)).toMatch(/^connected$/m);
    expect(await tables()).toHaveLength(1);
    expect(await plain.get("/v1/host")).toMatchObject({
      networks: {
        default: "internal",
        offered: ["none", "internal", "egress"],
        isFiltered: true,
        reasons: [],
      },
    } satisfies { networks: Host["networks"] });
  });

  test.each([
    ["none", []],
    ["internal", []],
    ["egress", ["a public address"]],
  ] as const)(
    "D11: %s reaches exactly %j",
    async (policy, expected) => {
      expect(await reached((command) => plain.inTask(policy, command), expected)).toEqual(expected);
    },
    300_000,
  );

  test.each(["none", "internal", "egress"] as const)(
    "D11: %s reaches neither the API, nor the host at its gateway, nor another task",
    async (policy) => {
      const own = await addressOf(plain, policy, 32);
      const other = await addressOf(plain, policy, 33);
      expect(other).not.toBe(own);
      const isOpen = (output: string): boolean => /^connected$/m.test(output);
      expect(await works(() => byHost(connects(other, 8080)), isOpen)).toMatch(/^connected$/m);
      const gateway = own.replace(/\d+$/, (last) => String(Number(last) - 1));
      for (const address of [gateway, FACE, SECOND]) {
        const http = `printf 'GET /stats HTTP/1.0\\r\\n\\r\\n' | busybox timeout 4 busybox nc -w 3 ${address} ${plain.port}`;
        expect(await plain.inTask(policy, http)).not.toMatch(/total_cpu/);
        expect(await plain.inTask(policy, dial(address, SERVICE))).not.toMatch(/served/);
      }
      const cross = `printf 'POST / HTTP/1.0\\r\\nContent-Length: 6\\r\\n\\r\\necho x' | busybox timeout 4 busybox nc -w 3`;
      const itself = (): Promise<string> => plain.inTask(policy, `${cross} 127.0.0.1 8080`);
      expect(await works(itself, (output) => output.includes("200 OK"))).toMatch(/200 OK/);
      expect(await plain.inTask(policy, `${cross} ${other} 8080`)).not.toMatch(/200 OK/);
    },
    300_000,
  );

  test("D11: names of others are known under egress only", async () => {
    const isKnown = (output: string): boolean => output.includes(BEYOND.public);
    expect(await works(() => byHost(`${ask} ${BEYOND.names}`), isKnown)).toContain(BEYOND.public);
    expect(await works(() => plain.inTask("egress", ask), isKnown)).toContain(BEYOND.public);
    expect(await plain.inTask("internal", ask)).not.toContain(BEYOND.public);
    expect(await plain.inTask("none", ask)).not.toContain(BEYOND.public);
  }, 180_000);

  test("D11: the list opens what it names and nothing beside it; at its end a daemon takes its rules along", async () => {
    const before = await tables();
    const listed = await serve(`"${BEYOND.private}:${OPEN}", "${FACE}:${SERVICE}"`);
    try {
      expect(await tables()).toHaveLength(before.length + 1);
      const opened: readonly Place[] = ["a private address", "the host, at its cable"];
      expect(await reached((command) => listed.inTask("none", command), [])).toEqual([]);
      expect(await reached((command) => listed.inTask("internal", command), opened)).toEqual(opened);
      const openedMore: readonly Place[] = ["a public address", ...opened];
      expect(await reached((command) => listed.inTask("egress", command), openedMore)).toEqual(openedMore);
      // Another daemon's list is nobody else's.
      expect(await reached((command) => plain.inTask("internal", command), [])).toEqual([]);
      expect(await listed.daemon.end("SIGTERM")).toBe(0);
    } finally {
      await listed[Symbol.asyncDispose]();
    }
    expect(await tables()).toEqual(before);
    const isBeyond = (output: string): boolean => output.includes("beyond");
    expect(await works(() => byBystander(dial(BEYOND.public, OPEN)), isBeyond)).toContain("beyond");
  }, 480_000);
});

async function addressOf(served: Served, policy: NetworkPolicy, mem: number): Promise<string> {
  const output = await served.inTask(policy, "busybox ip -4 addr show scope global", mem);
  const address = /inet ([\d.]+)\//.exec(output)?.[1];
  if (address === undefined) throw new Error(`no address in ${output}`);
  return address;
}

interface Answer {
  readonly status: number;
  readonly json: unknown;
}

function sendOver(socketPath: string, method: string, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: 90_000 }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on("data", (chunk: Buffer) => chunks.push(chunk));
      reply.on("error", reject);
      reply.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = /json/.test(reply.headers["content-type"] ?? "");
        resolve({ status: reply.statusCode ?? 0, json: isJson ? JSON.parse(text) : text });
      });
    });
    call.on("error", reject);
    call.on("timeout", () => call.destroy(new Error("no answer in time")));
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Starts a program that says when it is ready; its standard input ends with us. */
async function begin([program = "", ...args]: readonly string[]): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit").then(() => Promise.reject(new Error(`${program} ended`)));
  await Promise.race([once(child.stdout, "data"), ended]);
  ended.catch(() => undefined); // it is ended later
  return child;
}

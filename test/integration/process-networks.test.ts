import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { PeerAddress, Sandbox } from "../../src/core/index.ts";
import { DEFAULT_NETWORK_SETTINGS } from "../../src/core/index.ts";
import { NetworkNames } from "../../src/drivers/process/network/names.ts";
import { runIp } from "../../src/drivers/process/network/run-ip.ts";
import { findTool } from "../../src/drivers/process/tools.ts";
import { postOverHttp } from "../conformance/sandbox-driver/harness.ts";
import type { StartOptions } from "../conformance/sandbox-driver/scene.ts";
import { neverAborted, specFor } from "../conformance/sandbox-driver/scene.ts";
import { freshName } from "../support/fresh-name.ts";
import type { ProcessHarness } from "../support/process-harness.ts";
import { openProcessHarness } from "../support/process-harness.ts";

/** Each sandbox with a network of its own, and on the host's: what is not reached from the one must be reached from the other. */
let own: ProcessHarness;
let host: ProcessHarness;
const started: Sandbox[] = [];

beforeAll(async () => {
  own = await openProcessHarness();
  host = await openProcessHarness({ avoid: ["network"] });
  for (const harness of [own, host])
    await harness.addTask("tells", { command: ["node", "behave.mjs", "tells"] });
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((sandbox) => sandbox.stop(0)));
  expect([...(await own.remains()), ...(await host.remains())]).toEqual([]);
});
afterAll(async () => {
  await own[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

async function start(harness: ProcessHarness, image: string, options: StartOptions = {}): Promise<Sandbox> {
  const { driver } = harness;
  const resolved = await driver.resolve(image, { refresh: "missing" }, neverAborted());
  const sandbox = await driver.start(specFor(image, resolved, options), neverAborted());
  started.push(sandbox);
  return sandbox;
}

type Target = { readonly host: string; readonly port: number } | { readonly path: string };

/** Connects from inside the sandbox and waits for a byte; brings back "reached", or why not. */
async function reach(sandbox: Sandbox, target: Target): Promise<string> {
  const program = `export default (require) => new Promise((resolve) => {
    const socket = require("net").connect(${JSON.stringify(target)});
    socket.setTimeout(30000, () => socket.destroy(new Error("silence")));
    socket.on("data", () => { resolve("reached"); socket.destroy(); });
    socket.on("error", (error) => resolve(error.code ?? error.message));
    socket.on("connect", () => socket.write("GET / HTTP/1.0\\r\\n\\r\\n"));
    socket.on("end", () => resolve("ended"));
  })`;
  return JSON.parse((await postOverHttp(sandbox, program)).body) as string;
}

async function inside(sandbox: Sandbox, code: string): Promise<unknown> {
  const program = `export default async (require) => { ${code} }`;
  return JSON.parse((await postOverHttp(sandbox, program)).body);
}

/** A service of the host that says something to whoever comes, and remembers who came. */
async function serve(where: { readonly host: string } | { readonly path: string }) {
  const peers: PeerAddress[] = [];
  const server = createServer((socket) => {
    const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
    peers.push({ remoteAddress, remotePort, localAddress, localPort });
    socket.on("error", () => undefined).end("hello");
  });
  server.listen("path" in where ? where : { ...where, port: 0 });
  await once(server, "listening");
  return {
    peers,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}

describe("a network for each sandbox", () => {
  test("S: from inside a process task neither the API, nor another task, nor a loopback service of the host is reached", async ({
    skip,
  }) => {
    if (own.driver.reach.network !== "own") skip("networks for tasks do not work here");
    await using api = await serve({ host: "127.0.0.1" });
    await using api6 = await serve({ host: "::1" });
    const path = `\0${freshName("abstract")}`;
    await using _abstract = await serve({ path });
    const targets = (neighbour: Sandbox): Target[] => [
      { host: "127.0.0.1", port: api.port },
      { host: "::1", port: api6.port },
      { path },
      neighbour.endpoint,
    ];

    const [exposed, beside] = [await start(host, "test/tells"), await start(host, "test/echo")];
    for (const target of targets(beside))
      expect([target, await reach(exposed, target)]).toEqual([target, "reached"]);

    const [held, neighbour] = [await start(own, "test/tells"), await start(own, "test/echo")];
    expect(held.endpoint.host).not.toBe(neighbour.endpoint.host);
    for (const target of [...targets(neighbour), beside.endpoint])
      expect([target, await reach(held, target)]).toEqual([
        target,
        expect.stringMatching(/^(ECONNREFUSED|ENETUNREACH|EHOSTUNREACH)$/),
      ]);
    expect(await postOverHttp(neighbour, "we reach it")).toEqual({ status: 200, body: "we reach it" });
  });

  test("D11: an API that listens on all addresses is not reached, and where the list opens it knows a task by its address", async ({
    skip,
  }) => {
    if (own.driver.reach.network !== "own") skip("networks for tasks do not work here");
    await using api = await serve({ host: "::" });
    const allow = [{ range: { base: 0x0ad40000, bits: 16 }, port: api.port }];
    await using open = await openProcessHarness({ network: { ...DEFAULT_NETWORK_SETTINGS, allow } });
    await open.addTask("tells", { command: ["node", "behave.mjs", "tells"] });
    for (const [harness, answer] of [
      [own, "ECONNREFUSED"],
      [open, "reached"],
    ] as const) {
      const sandbox = await start(harness, "test/tells");
      const hostEnd = sandbox.endpoint.host.replace(/\d+$/, (last) => String(Number(last) - 1));
      expect(await reach(sandbox, { host: hostEnd, port: api.port })).toBe(answer);
    }
    expect(api.peers).toHaveLength(1);
    expect(api.peers.every((peer) => open.driver.isTaskAddress(peer))).toBe(true);
    // Before the driver that made them.
    await Promise.all(started.splice(0).map((sandbox) => sandbox.stop(0)));
  });

  test("inside there are loopback and one IPv4 address, and no route but to the host's end", async ({
    skip,
  }) => {
    if (own.driver.reach.network !== "own") skip("networks for tasks do not work here");
    const sandbox = await start(own, "test/tells");
    expect(sandbox.endpoint.port).toBe(8080);
    const interfaces = await inside(
      sandbox,
      'return Object.entries(require("os").networkInterfaces()).map(([name, all]) => [name, ...all.map((one) => one.cidr)])',
    );
    expect(interfaces).toEqual([
      ["lo", "127.0.0.1/8", "::1/128"],
      ["eth0", `${sandbox.endpoint.host}/30`],
    ]);
    const routes = (await inside(
      sandbox,
      'return require("fs").readFileSync("/proc/self/net/route", "utf8").trim().split("\\n").slice(1).map((line) => line.split("\\t")[7])',
    )) as string[];
    expect(routes).toEqual(["FCFFFFFF"]);
  });

  test("many at once have addresses of their own, and all are given back", async ({ skip }) => {
    if (own.driver.reach.network !== "own") skip("networks for tasks do not work here");
    const sandboxes = await Promise.all(Array.from({ length: 6 }, () => start(own, "test/echo")));
    expect(new Set(sandboxes.map((sandbox) => sandbox.endpoint.host)).size).toBe(6);
    for (const [index, sandbox] of sandboxes.entries())
      expect(await postOverHttp(sandbox, `to ${index}`)).toEqual({ status: 200, body: `to ${index}` });
  });

  test("a task that listens on loopback only is told so, long before its start timeout", async ({ skip }) => {
    if (own.driver.reach.network !== "own") skip("networks for tasks do not work here");
    const program = `
      require("http").createServer((request, reply) => reply.end("here"))
        .listen(Number(process.env.PORT), "127.0.0.1", () => console.log("meca-init-done"));`;
    const files = { "main.cjs": program };
    const image = await own.addTask("shy", { command: ["node", "main.cjs"] }, files);
    await expect(start(own, image)).rejects.toThrow(/listens on 127\.0\.0\.1 only; listen on 0\.0\.0\.0/);
    await expect(start(own, image)).rejects.toMatchObject({ code: "SANDBOX_START_FAILED" });
    const there = await host.addTask("shy", { command: ["node", "main.cjs"] }, files);
    expect(await postOverHttp(await start(host, there), "")).toEqual({ status: 200, body: "here" });
  });

  test("half of a network, as a life leaves it that is killed while it makes one, is swept by the next", async ({
    skip,
  }) => {
    if (own.driver.reach.network !== "own") skip("networks for tasks do not work here");
    const names = new NetworkNames(own.owner);
    const ip = findTool("ip") ?? "";
    await runIp(
      ip,
      [],
      [
        `netns add ${names.namespace(65_001)}`,
        `netns add ${names.namespace(65_002)}`,
        `link add ${names.link(65_002)} type veth peer name eth0 netns ${names.namespace(65_002)}`,
        `netns add ${names.namespace(65_003)}`,
        `link add ${names.link(65_003)} type veth peer name eth0 netns ${names.namespace(65_003)}`,
        `netns delete ${names.namespace(65_003)}`,
      ],
    );
    const sandbox = await start(own, "test/echo");
    expect(await own.driver.leftovers(neverAborted())).toEqual([]);
    expect((await own.remains()).filter((name) => name.includes("-6500"))).toEqual([]);
    expect(await postOverHttp(sandbox, "mine stays")).toEqual({ status: 200, body: "mine stays" });
  });

  test("without a free address a start fails and says so, and a driver opens on the host's network", async ({
    skip,
  }) => {
    if (own.driver.reach.network !== "own") skip("networks for tasks do not work here");
    const networkRange = "10.195.255.252/30";
    await using narrow = await openProcessHarness({ networkRange });
    if (narrow.driver.reach.network !== "own") skip(`${networkRange} is in use on this host`);
    await start(narrow, "test/echo");
    await expect(start(narrow, "test/echo")).rejects.toThrow(
      /all addresses for networks of tasks are in use/,
    );
    await using late = await openProcessHarness({ networkRange });
    expect(late.driver.reach).toMatchObject({ network: "host" });
    expect(late.driver.reach.detail).toContain("the host's network");
    expect(late.driver.reach.warnings.join()).toMatch(
      /on the host's network.*do not work here: all addresses/,
    );
    expect((await start(late, "test/echo")).endpoint.host).toBe("127.0.0.1");
    // Before the drivers that made them.
    await Promise.all(started.splice(0).map((sandbox) => sandbox.stop(0)));
  });
});

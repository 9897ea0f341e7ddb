import { once } from "node:events";
import type { IncomingMessage, RequestListener, Server } from "node:http";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import { connect, createServer as createNetServer } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import type { Endpoint } from "../../../core/index.ts";
import type { SandboxProxy } from "./sandbox-proxy.ts";
import { openSandboxProxy } from "./sandbox-proxy.ts";

/** A machine that stands still for seconds must not end what a test wants to go on. */
const TIMES = { connectMs: 60_000, readMs: 60_000, writeMs: 60_000 };
const HOST = "127.0.0.1";
const opened: (() => PromiseLike<void> | void)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

interface World {
  readonly proxy: SandboxProxy;
  /** What was asked of the routes. */
  readonly asked: string[];
  /** Ends the sandbox. */
  end(): void;
}

async function open(endpoint: Endpoint | undefined, times = TIMES): Promise<World> {
  const gone = new AbortController();
  const asked: string[] = [];
  const proxy = await openSandboxProxy({
    ...{ host: HOST, port: 0, times },
    isTaskAddress: () => false,
    route(sandboxId, port) {
      asked.push(`${sandboxId}:${port}`);
      if (sandboxId === "asleep") return { type: "not-running" };
      if (sandboxId !== "mine" || endpoint === undefined) return { type: "unknown" };
      return { type: "open", endpoint, gone: gone.signal };
    },
  });
  opened.push(() => proxy[Symbol.asyncDispose]());
  return { proxy, asked, end: () => gone.abort() };
}

async function serve(server: Server | NetServer): Promise<Endpoint> {
  server.listen(0, HOST);
  await once(server, "listening");
  opened.push(() => {
    if ("closeAllConnections" in server) server.closeAllConnections();
    server.close();
  });
  return { host: HOST, port: (server.address() as AddressInfo).port };
}

const http = (listener: RequestListener): Promise<Endpoint> => serve(createServer(listener));

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function ask(
  { proxy }: World,
  { method = "GET", path = "/", headers = {}, body }: Asked = {},
): Promise<IncomingMessage & { readonly text: string }> {
  const request = httpRequest({
    ...{ host: HOST, port: proxy.port, method, path, agent: false },
    headers: { "x-tensorlake-sandbox-id": "mine", ...headers },
  });
  request.on("error", () => undefined); // what is still on its way when the answer has come
  request.end(body);
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  return Object.assign(answer, { text: await text(answer) });
}

test("a request goes to the port that its header names, as it came, and the answer comes back as it is", async () => {
  const seen: string[][] = [];
  const endpoint = await http((request, response) => {
    seen.push([request.method ?? "", request.url ?? "", ...request.rawHeaders]);
    response.setHeader("Set-Cookie", ["a=1", "b=2"]);
    response.writeHead(418, "Teapot");
    request.pipe(response);
  });
  const world = await open(endpoint);
  const answer = await ask(world, {
    method: "POST",
    path: "/a?b=%20c",
    body: "hello",
    headers: {
      "X-Tensorlake-Sandbox-Port": "3000",
      Host: "app.example",
      "X-Mixed": "Yes",
      Connection: "x-secret",
      "X-Secret": "s",
    },
  });
  expect([answer.statusCode, answer.statusMessage, answer.text]).toEqual([418, "Teapot", "hello"]);
  expect(answer.headers["set-cookie"]).toEqual(["a=1", "b=2"]);
  expect(world.asked).toEqual(["mine:3000"]);
  expect(seen[0]?.slice(0, 2)).toEqual(["POST", "/a?b=%20c"]);
  const text = seen[0]?.join("|") ?? "";
  expect(text).toContain("Host|app.example");
  expect(text).toContain("X-Mixed|Yes");
  // What belongs to the connection of the client goes no further.
  expect(text.toLowerCase()).not.toContain("x-secret");
});

test("bodies are streamed both ways: the answer's first part comes before the request has ended", async () => {
  const endpoint = await http((request, response) => {
    request.on("data", (data: Buffer) => response.write(`got ${data.toString()};`));
    request.on("end", () => response.end("end"));
  });
  const { proxy } = await open(endpoint);
  const request = httpRequest({
    ...{ host: HOST, port: proxy.port, method: "GET", agent: false },
    headers: { "x-tensorlake-sandbox-id": "mine", "transfer-encoding": "chunked" },
  });
  request.write("one");
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  const [first] = (await once(answer, "data")) as [Buffer];
  expect(first.toString()).toBe("got one;");
  request.end("two");
  expect(await text(answer)).toBe("got two;end");
});

test.each<[string, Asked, number, string]>([
  ["without a sandbox", { headers: { "x-tensorlake-sandbox-id": "" } }, 400, "MISSING_SANDBOX_ID"],
  [
    "for a port that is none",
    { headers: { "x-tensorlake-sandbox-port": "70000" } },
    400,
    "INVALID_SANDBOX_PORT",
  ],
  [
    "for a port with words",
    { headers: { "x-tensorlake-sandbox-port": "80@evil" } },
    400,
    "INVALID_SANDBOX_PORT",
  ],
  ["for an unknown sandbox", { headers: { "x-tensorlake-sandbox-id": "other" } }, 404, "SANDBOX_NOT_FOUND"],
  [
    "for one that does not run",
    { headers: { "x-tensorlake-sandbox-id": "asleep" } },
    503,
    "SANDBOX_NOT_RUNNING",
  ],
  [
    "of an absolute address",
    { path: "http://169.254.169.254/latest", headers: { "x-tensorlake-sandbox-id": "other" } },
    404,
    "SANDBOX_NOT_FOUND",
  ],
])("a request %s is refused in the words of the contract", async (_, asked, status, code) => {
  const answer = await ask(await open(undefined), asked);
  expect([answer.statusCode, answer.headers["content-type"]]).toEqual([status, "application/json"]);
  expect(JSON.parse(answer.text)).toEqual({ error: expect.any(String), code });
});

test("without a port's header it goes to 9501", async () => {
  const world = await open(undefined);
  await ask(world);
  expect(world.asked).toEqual(["mine:9501"]);
});

test("an absolute address in the request line does not choose where it goes", async () => {
  const seen: string[] = [];
  const endpoint = await http((request, response) => {
    seen.push(request.url ?? "");
    response.end("mine");
  });
  const answer = await ask(await open(endpoint), { path: "http://169.254.169.254/latest" });
  expect(answer.text).toBe("mine");
  expect(seen).toHaveLength(1);
});

test("nothing listens, closes early, or is no HTTP: each has its own word", async () => {
  // It keeps its port, so that nobody else comes to listen there; at the other address nobody does.
  const { port } = await serve(createNetServer());
  const codes = async (endpoint: Endpoint): Promise<unknown[]> => {
    const answer = await ask(await open(endpoint), { method: "POST", body: "x".repeat(100_000) });
    return [answer.statusCode, (JSON.parse(answer.text) as { code: string }).code];
  };
  expect(await codes({ host: "127.0.0.2", port })).toEqual([502, "CONNECTION_REFUSED"]);
  const hangsUp = await serve(createNetServer((socket) => socket.once("data", () => socket.destroy())));
  expect(await codes(hangsUp)).toEqual([502, "CONNECTION_CLOSED"]);
  const babbles = await serve(
    createNetServer((socket) => socket.on("error", () => undefined).end("what?\r\n\r\n")),
  );
  expect(await codes(babbles)).toEqual([502, "PROXY_ERROR"]);
});

test("one that does not answer, and one that takes nothing, are given up after their times", async () => {
  const sockets = new Set<Socket>();
  const silent = await serve(
    createNetServer((socket) => {
      sockets.add(socket.on("error", () => undefined));
      socket.resume();
    }),
  );
  const deaf = await serve(createNetServer({ pauseOnConnect: true }, (socket) => sockets.add(socket)));
  opened.push(() => {
    for (const socket of sockets) socket.destroy();
  });
  const first = await ask(await open(silent, { ...TIMES, readMs: 200 }));
  expect([first.statusCode, JSON.parse(first.text)]).toMatchObject([504, { code: "READ_TIMEOUT" }]);
  const big = "x".repeat(32 * 1024 * 1024);
  // Whoever stands still before all is written seems silent for so long: that is not yet too long.
  const second = await ask(await open(deaf, { ...TIMES, writeMs: 200 }), { method: "POST", body: big });
  expect([second.statusCode, JSON.parse(second.text)]).toMatchObject([504, { code: "WRITE_TIMEOUT" }]);
});

test("an answer that breaks off is not taken for a whole one", async () => {
  const endpoint = await http((_, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half");
    setTimeout(() => response.destroy(), 20);
  });
  await expect(ask(await open(endpoint))).rejects.toThrow(/aborted|socket hang up/);
});

test("a client that leaves ends what it asked for", async () => {
  let left = (): void => undefined;
  const leaving = new Promise<void>((resolve) => {
    left = resolve;
  });
  const endpoint = await http((_, response) => {
    response.once("close", left);
    response.write("first");
  });
  const { proxy } = await open(endpoint);
  const request = httpRequest({
    host: HOST,
    port: proxy.port,
    headers: { "x-tensorlake-sandbox-id": "mine" },
  });
  request.on("error", () => undefined).end();
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  answer.on("error", () => undefined);
  await once(answer, "data");
  request.destroy();
  await leaving;
});

/** Speaks a protocol of its own after the switch: what comes goes back in capitals. */
function shouting(): Promise<Endpoint> {
  const server = createServer((_, response) => response.writeHead(426).end("only shouting"));
  server.on("upgrade", (request, socket, head: Buffer) => {
    if (request.url === "/no") {
      socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
      return;
    }
    socket.on("error", () => undefined);
    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: Upgrade\r\n\r\nHELLO;");
    const answer = (data: Buffer): boolean => socket.write(data.toString().toUpperCase());
    answer(head);
    socket.on("data", answer);
    socket.once("end", () => socket.end());
  });
  return serve(server);
}

async function upgrade(
  world: World,
  path = "/",
): Promise<{ readonly socket: Socket; read(until: string): Promise<string> }> {
  const socket = connect(world.proxy.port, HOST);
  opened.push(() => void socket.destroy());
  let heard = "";
  const waiters: (() => void)[] = [];
  socket.on("error", () => undefined);
  socket.on("data", (data) => {
    heard += data.toString();
    for (const wake of waiters.splice(0)) wake();
  });
  socket.on("close", () => {
    heard += "<closed>";
    for (const wake of waiters.splice(0)) wake();
  });
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\nX-Tensorlake-Sandbox-Id: mine\r\n\r\nearly;`,
  );
  return {
    socket,
    async read(until) {
      for (let rounds = 0; rounds < 100 && !heard.includes(until); rounds += 1) {
        await new Promise<void>((resolve) => waiters.push(resolve));
      }
      return heard;
    },
  };
}

test("a connection that is upgraded, such as a WebSocket, carries bytes both ways until the sandbox ends", async () => {
  const world = await open(await shouting());
  const { socket, read } = await upgrade(world);
  expect(await read("EARLY;")).toMatch(/^HTTP\/1\.1 101 [^]*upgrade: shout\r\n[^]*HELLO;EARLY;$/i);
  socket.write("more;");
  expect(await read("MORE;")).toContain("MORE;");
  world.end();
  expect(await read("<closed>")).toContain("<closed>");
});

test("an upgrade that the sandbox refuses, or that goes nowhere, is answered", async () => {
  const refused = await upgrade(await open(await shouting()), "/no");
  expect(await refused.read("<closed>")).toMatch(/^HTTP\/1\.1 403 [^]*\r\n\r\nno<closed>$/);
  const lost = await upgrade(await open(undefined));
  expect(await lost.read("<closed>")).toMatch(/^HTTP\/1\.1 404 [^]*SANDBOX_NOT_FOUND[^]*<closed>$/);
});

test("a page of another origin may ask, and read the answer", async () => {
  const endpoint = await http((_, response) => response.end("ok"));
  const world = await open(endpoint);
  const before = await ask(world, {
    method: "OPTIONS",
    headers: {
      "x-tensorlake-sandbox-id": "",
      origin: "https://page.example",
      "access-control-request-method": "PUT",
      "access-control-request-headers": "x-tensorlake-sandbox-id",
    },
  });
  expect([before.statusCode, before.headers["access-control-allow-headers"]]).toEqual([
    204,
    "x-tensorlake-sandbox-id",
  ]);
  const answer = await ask(world, { headers: { origin: "https://page.example" } });
  expect([answer.text, answer.headers["access-control-allow-origin"]]).toEqual(["ok", "*"]);
});

test("a task of this host is turned away; no tunnel is opened; a port that is taken is named", async () => {
  const proxy = await openSandboxProxy({
    ...{ host: HOST, port: 0, times: TIMES },
    isTaskAddress: ({ remoteAddress }) => remoteAddress === HOST,
    route: () => ({ type: "unknown" }),
  });
  opened.push(() => proxy[Symbol.asyncDispose]());
  await expect(ask({ proxy, asked: [], end: () => undefined })).rejects.toThrow();
  const open_ = await open(undefined);
  const tunnel = httpRequest({ host: HOST, port: open_.proxy.port, method: "CONNECT", path: "127.0.0.1:22" });
  tunnel.end();
  const [answer] = (await once(tunnel, "connect")) as [IncomingMessage];
  expect(answer.statusCode).toBe(405);
  await expect(
    openSandboxProxy({
      ...{ host: HOST, port: proxy.port, times: TIMES },
      isTaskAddress: () => false,
      route: () => ({ type: "unknown" }),
    }),
  ).rejects.toMatchObject({ code: "ADDRESS_IN_USE", facts: { field: "indexify.proxy.port" } });
});

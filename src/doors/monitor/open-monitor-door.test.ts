import { afterEach, expect, test } from "vitest";
import { FakeDisk } from "../../../test/support/fake-disk.ts";
import { FakeExecutor } from "../../../test/support/fake-executor.ts";
import { ExecutorError } from "../../core/index.ts";
import { silentLog } from "../../telemetry/index.ts";
import type { Dashboard } from "./dashboard.ts";
import type { MonitorParts, ServerLink } from "./door-options.ts";
import type { MonitorDoor } from "./open-monitor-door.ts";
import { openMonitorDoor } from "./open-monitor-door.ts";
import { ProvenClasses } from "./proven-classes.ts";

let door: MonitorDoor | undefined;
afterEach(async () => {
  await door?.[Symbol.asyncDispose]();
});

/** A page of one file. */
const dashboard: Dashboard = {
  answer: ({ url }, response) => {
    if (url !== "/") return false;
    response.end("the page");
    return true;
  },
};

async function open(): Promise<MonitorDoor> {
  door = await openMonitorDoor({ host: "127.0.0.1", port: 0, log: silentLog, dashboard });
  return door;
}

const parts = (more: Partial<MonitorParts> = {}): MonitorParts => ({
  executor: new FakeExecutor(),
  proven: new ProvenClasses(),
  identity: { executorId: "e1", ownerId: "o1", version: "1", environment: "host" },
  engine: {
    ask: () => Promise.resolve({ isHealthy: true, detail: "" }),
    last: { isHealthy: true, detail: "" },
  },
  metrics: { contentType: "text/plain; version=0.0.4", text: () => Promise.resolve("a 1\n") },
  doors: () => [{ name: "http", trouble: undefined, fetchesWork: false }],
  server: undefined,
  wallMs: () => 0,
  ...more,
});

test("whom the guard turns away learns why, and reaches neither our paths nor the pages", async () => {
  const { url, guardWith, serveApi, open: show } = await open();
  let asked = 0;
  show(parts());
  serveApi((_, response) => {
    asked += 1;
    response.end();
  });
  guardWith({
    check: () => {
      throw new ExecutorError("SOURCE_FORBIDDEN");
    },
  });
  for (const path of ["/livez", "/metrics", "/", "/v1/host", "/anything"]) {
    const answer = await fetch(`${url}${path}`);
    expect([answer.status, answer.headers.get("hearth-error")]).toEqual([403, "SOURCE_FORBIDDEN"]);
    expect(answer.headers.get("connection")).toBe("close");
  }
  expect(asked).toBe(0);
});

test("V: the page is there before the daemon is, and what it asks for is to be asked again", async () => {
  const { url, serveApi } = await open();
  const get = async (path: string): Promise<readonly unknown[]> => {
    const answer = await fetch(`${url}${path}`);
    return [answer.status, answer.headers.get("hearth-error"), answer.headers.get("retry-after")];
  };
  expect(await (await fetch(url)).text()).toBe("the page");
  const paths = ["/v1/access", "/v1/live?from=1", "/openapi.json"];
  for (const path of paths) expect(await get(path)).toEqual([503, "STARTING", "1"]);

  serveApi(({ url: asked }, response) => {
    response.writeHead(200, { "hearth-error": String(asked) }).end();
  });
  for (const path of paths) expect(await get(path)).toEqual([200, path, null]);
  // The rest of the HTTP door is not to be reached over this port.
  for (const path of ["/v1", "/docs", "/openapi.jsonx", "/image-list"])
    expect(await get(path)).toEqual([404, "ROUTE_NOT_FOUND", null]);
});

test("a door that is shut makes the daemon ill, by name", async () => {
  const { url, open: show } = await open();
  show(parts({ doors: () => [{ name: "http", trouble: "it is closed", fetchesWork: false }] }));
  const answer = await fetch(`${url}/monitoring/health`);
  expect([answer.status, await answer.text()]).toEqual([
    503,
    '{"status":"nok","message":"door http: it is closed","checker":"GenericHealthChecker"}',
  ]);
});

test("metrics that cannot be read are a defect of ours, and are told as one", async () => {
  const { url, open: show } = await open();
  const text = (): Promise<string> => Promise.reject(new Error("a secret of ours"));
  show(parts({ metrics: { contentType: "", text } }));
  const answer = await fetch(`${url}/metrics`);
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toContain("secret");
});

test("closing ends connections that wait, and answers nobody afterwards", async () => {
  const opened = await open();
  expect(await (await fetch(`${opened.url}/livez`)).text()).toBe("ok");
  await opened[Symbol.asyncDispose]();
  await expect(fetch(`${opened.url}/livez`)).rejects.toThrow();
});

test("X5: until the classes have been tested the host is not ready and reports nothing; while they are tested anew it goes on as before", async () => {
  const { url, open: show } = await open();
  const executor = new FakeExecutor();
  const report = { isolation: "container", runtime: undefined, sight: undefined } as const;
  executor.classes = [{ ...report, state: "unproven", reasons: [] }];
  show(parts({ executor }));
  const ready = async (): Promise<number> => (await fetch(`${url}/readyz`)).status;
  const reported = async (): Promise<string> => await (await fetch(`${url}/state/reported`)).text();
  expect(await ready()).toBe(503);
  expect(await (await fetch(`${url}/readyz`)).text()).toContain("[-]isolation failed");
  expect(await reported()).toBe("No state reported so far");

  executor.classes = [{ ...report, state: "usable", reasons: [] }];
  expect(await ready()).toBe(200);
  const known = await reported();
  expect(known).toMatch(/^state_hash=[0-9a-f]{64}$/m);

  executor.classes = [{ ...report, state: "unproven", reasons: [] }];
  expect(await ready()).toBe(200);
  expect(await reported()).toBe(known);
});

test("X5: of the disk is reported what jobs may have and what they left of it: the hash knows of no other writers", async () => {
  const { url, open: show } = await open();
  const hostDisk = new FakeDisk();
  show(parts({ hostDisk }));
  const reported = async (): Promise<string> => await (await fetch(`${url}/state/reported`)).text();
  const before = await reported();
  expect(before).toContain(
    "\nhost_disk_bytes=1000000000000\ntotal_disk_bytes=900000000000\nfree_disk_bytes=900000000000\n",
  );
  hostDisk.leftBytes = 1e9;
  expect(await reported()).toBe(before);
  const giveBack = hostDisk.book(400e9);
  const held = await reported();
  expect(held).toContain("\ntotal_disk_bytes=900000000000\nfree_disk_bytes=500000000000\n");
  expect(hashOf(held)).not.toBe(hashOf(before));
  giveBack();
  expect(await reported()).toBe(before);
  // Jobs of an earlier life may hold more than there is by now.
  hostDisk.book(901e9);
  expect(await reported()).toContain("\nfree_disk_bytes=0\n");
});

function hashOf(state: string): string | undefined {
  return /^state_hash=(.*)$/m.exec(state)?.[1];
}

test("a class whose test could not be carried out keeps nobody waiting", async () => {
  const { url, open: show } = await open();
  const executor = new FakeExecutor();
  executor.classes = [
    {
      isolation: "container",
      runtime: undefined,
      sight: undefined,
      state: "unproven",
      reasons: ["no engine"],
    },
  ];
  show(parts({ executor }));
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
});

test("X2: a queue that is away is told by health alone: who calls this host still finds it ready", async () => {
  const { url, open: show } = await open();
  const http = { name: "http", trouble: undefined as string | undefined, fetchesWork: false };
  const stream = { name: "stream", trouble: "connection refused", fetchesWork: true };
  const statuses = async (): Promise<number[]> =>
    await Promise.all(
      ["readyz", "monitoring/startup", "monitoring/health", "healthz"].map(
        async (path) => (await fetch(`${url}/${path}`)).status,
      ),
    );
  show(parts({ doors: () => [http, stream] }));
  expect(await statuses()).toEqual([200, 200, 503, 503]);
  expect(await (await fetch(`${url}/monitoring/health`)).text()).toContain("stream: connection refused");
  expect(await (await fetch(`${url}/readyz?verbose`)).text()).not.toContain("stream");
  http.trouble = "it is closed";
  expect(await statuses()).toEqual([503, 200, 503, 503]);
});

test("a method that a path does not take is 405, and the answer says which it takes", async () => {
  const { url } = await open();
  for (const path of ["/livez", "/metrics", "/state/reported"]) {
    const answer = await fetch(`${url}${path}`, { method: "POST", body: "x" });
    expect([answer.status, answer.headers.get("allow"), answer.headers.get("hearth-error")]).toEqual([
      405,
      "GET, HEAD",
      "METHOD_NOT_ALLOWED",
    ]);
  }
});

test.each([
  ["verbose", true],
  ["verbose=", true],
  ["verbose=1", true],
  ["verbose=0", false],
  ["verbose=false", false],
  ["", false],
])("livez?%s tells more: %s", async (query, isVerbose) => {
  const { url } = await open();
  const text = await (await fetch(`${url}/livez?${query}`)).text();
  expect(text).toBe(isVerbose ? "[+]ping ok\nlivez check passed\n" : "ok");
});

test("the guard is told what is a page, so that links may lead to it, and what is not", async () => {
  const { url, guardWith } = await open();
  const told: [string | undefined, boolean | undefined][] = [];
  guardWith({
    check: ({ request }, _, options) => {
      told.push([request.url, options?.isPage]);
    },
  });
  for (const path of ["/", "/?from=mail", "/index.html", "/metrics", "/v1/host"])
    await fetch(`${url}${path}`);
  expect(told).toEqual([
    ["/", true],
    ["/?from=mail", true],
    ["/index.html", true],
    ["/metrics", false],
    ["/v1/host", false],
  ]);
});

const USABLE = {
  isolation: "container",
  runtime: undefined,
  sight: undefined,
  state: "usable",
  reasons: [],
} as const;
const NO_WORK = { containers: [], allocations: [] };
/** A server that has not answered. */
const SILENT: ServerLink = { reported: undefined, desired: () => NO_WORK, observed: () => NO_WORK };
const REPORT = {
  ...{ isFullState: true, bytes: 40 },
  ...{ commandResponses: 1, allocationOutcomes: 2, allocationLogEntries: 3 },
};

test("X2, X3, X6: an Indexify server that has not answered is nothing to a start; later what it wants, what of that there is and what it was told is shown", async () => {
  const { url, open: show } = await open();
  const get = async (path: string): Promise<string> => await (await fetch(`${url}${path}`)).text();
  const json = async (path: string): Promise<unknown> =>
    await (await fetch(`${url}${path}`, { headers: { accept: "application/json" } })).json();
  const executor = new FakeExecutor();
  executor.classes = [USABLE];
  show(parts({ executor, server: SILENT }));
  expect((await fetch(`${url}/monitoring/startup`)).status).toBe(200);
  expect(await get("/state/desired")).toBe("No desired state received from Server yet");
  expect(await get("/state/reported")).not.toMatch(/^(?:indexify_|container |allocation )/m);

  const container = { id: "c1", function: "n:a:f:v1" };
  const allocation = { id: "a1", containerId: "c1", requestId: "r1" };
  const desired = (): ReturnType<ServerLink["desired"]> => ({
    containers: [container],
    allocations: [allocation],
  });
  const containers = [
    { ...container, state: "starting" },
    { id: "c0", function: "sandbox:i", state: "terminated", reason: "OOM" },
  ];
  const allocations = [{ ...allocation, phase: "waiting" }];
  show(
    parts({
      executor,
      server: { ...SILENT, reported: REPORT, desired, observed: () => ({ containers, allocations }) },
    }),
  );
  expect(await get("/state/desired")).toBe(
    "container id=c1 function=n:a:f:v1\nallocation id=a1 container_id=c1 request_id=r1\n",
  );
  expect(await json("/state/desired")).toEqual({ tasks: [], ...desired() });
  const reported = await get("/state/reported");
  expect(reported).toMatch(/^executor_id=e1\nowner_id=o1\n/);
  expect(reported).toContain(
    "indexify_full_state=true\nindexify_command_responses=1\nindexify_allocation_outcomes=2\n",
  );
  expect(reported).toMatch(
    /\ncontainer id=c1 function=n:a:f:v1 state=starting\ncontainer id=c0 function=sandbox:i state=terminated reason=OOM\nallocation id=a1 container_id=c1 request_id=r1 phase=waiting\n$/,
  );
  expect(await json("/state/reported")).toMatchObject({ executor_id: "e1", containers, allocations });
});

test("X5: what a server's work has come to, and what the server was told, does not change the hash; another name does", async () => {
  const { url, open: show } = await open();
  const executor = new FakeExecutor();
  executor.classes = [USABLE];
  const hash = async (more: Partial<MonitorParts>): Promise<string | undefined> => {
    show(parts({ executor, ...more }));
    const text = await (await fetch(`${url}/state/reported`)).text();
    return /^state_hash=([0-9a-f]{64})$/m.exec(text)?.[1];
  };
  const atFirst = await hash({});
  expect(atFirst).toBeDefined();
  const observed = (): ReturnType<ServerLink["observed"]> => ({
    containers: [{ id: "c1", function: "f", state: "running" }],
    allocations: [],
  });
  expect(await hash({ server: { ...SILENT, reported: REPORT, observed } })).toBe(atFirst);
  const identity = { executorId: "e2", ownerId: "o1", version: "1", environment: "host" } as const;
  expect(await hash({ identity })).not.toBe(atFirst);
});

test("no name that a server gives makes a line of its own", async () => {
  const { url, open: show } = await open();
  const desired = (): ReturnType<ServerLink["desired"]> => ({
    containers: [{ id: "c1", function: "sandbox:i\ncontainer id=c2" }],
    allocations: [],
  });
  show(parts({ server: { ...SILENT, desired } }));
  expect(await (await fetch(`${url}/state/desired`)).text()).toBe(
    "container id=c1 function=sandbox:i container id=c2\n",
  );
});

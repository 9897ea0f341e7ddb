import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Ran, Route } from "../../test/support/cli-world.ts";
import { answer, CliWorld, json, problem } from "../../test/support/cli-world.ts";

let world: CliWorld;
beforeEach(() => {
  world = new CliWorld();
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

const startDaemon = (routes: Readonly<Record<string, Route>>): Promise<string> => world.startDaemon(routes);
const hearth = (...asked: Parameters<CliWorld["run"]>): Promise<Ran> => world.run(...asked);

const SANDBOX = {
  id: "aaaabbbbccccddddeeeeffffgg",
  label: "mecanywhere_echo",
  taskKey: "k",
  image: "echo",
  isolation: "container",
  isolationWish: "default",
  sgx: false,
  tier: "hot",
  resources: { cpuMillis: 500, memoryBytes: 134_217_728, gpuCount: 0, gpuMemoryBytes: 0 },
  gpuIds: [],
  reserved: { cpuMillis: 500, memoryBytes: 134_217_728, gpuCount: 0 },
  slotsUsed: 1,
  slots: 4,
  sessions: 2,
  calls: 9,
  ageMs: 61_000,
  warnings: [],
};
const JOB = {
  ...{ jobId: "k2p9", attempt: 1, door: "stream", state: "running", sandboxId: "s-of-k2p9", image: "sim:1" },
  ...{ isolation: "container", isolationWish: "default", network: "internal", resources: SANDBOX.resources },
  ...{ reserved: SANDBOX.reserved, gpuIds: [], ageMs: 62_000, ranMs: 61_000 },
};
const OTHER = {
  ...SANDBOX,
  id: "aaaaccccbbbbddddeeeeffffgg",
  label: "x\u001b[31m",
  image: "other:latest",
  resources: { ...SANDBOX.resources, gpuCount: 2, gpuMemoryBytes: 4_294_967_296 },
  idleMs: 10,
};

describe("wrong use", () => {
  test("ends with 2, says what was meant and where help is, and prints nothing on standard output", async () => {
    expect(await hearth(["stat"])).toMatchObject({
      code: 2,
      out: "",
      err: expect.stringContaining("Did you mean stats?"),
    });
    expect(await hearth(["call"])).toMatchObject({ code: 2, err: expect.stringContaining("'task'") });
    expect(await hearth(["ps", "--jsn"])).toMatchObject({ code: 2, err: expect.stringContaining("--json") });
    expect(await hearth(["call", "a", "--isolation", "x"])).toMatchObject({ code: 2 });
    expect(await hearth(["call", "a", "--cpu", "x"])).toMatchObject({ code: 2 });
    expect(await hearth(["call", "a", "b", "-i", "-"])).toMatchObject({ code: 2 });
    expect(await hearth(["config"])).toMatchObject({ code: 2 });
    expect(await hearth(["ps", "-H", "ftp://x"])).toMatchObject({ code: 2 });
    expect(await hearth([])).toMatchObject({ code: 2 });
  });

  test("help and version are answers", async () => {
    expect(await hearth(["--version"])).toEqual({ code: 0, out: "1.2.3\n", err: "", served: undefined });
    expect(await hearth(["help"])).toMatchObject({ code: 0, out: expect.stringContaining("doctor") });
    expect(await hearth(["help", "call"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("Examples:"),
    });
    expect(await hearth(["serve", "--help"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("--http-port"),
    });
    expect(await hearth(["config", "set", "--help"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("key=value"),
    });
  });
});

describe("no daemon", () => {
  test("ends with 3 and says how to start one", async () => {
    const ran = await hearth(["ps", "-H", "127.0.0.1:1"]);
    expect(ran).toMatchObject({ code: 3, out: "" });
    expect(ran.err).toContain("hearth serve");
    expect(await hearth(["call", "echo"], { env: { HEARTH_HOST: "127.0.0.1:1" } })).toMatchObject({
      code: 3,
    });
    expect(await hearth(["doctor", "--quick"], { env: { HEARTH_HTTP_PORT: "1" } })).toMatchObject({
      code: 3,
    });
  });
});

describe("serve", () => {
  test("hands its flags on by setting key, and takes -config as the original does", async () => {
    const { served } = await hearth(["serve", "-config", "a.yaml", "--http-port", "7", "--has-gpu"]);
    expect(served).toEqual({ configFile: "a.yaml", flags: { "http.port": "7", has_gpu: "true" } });
    expect((await hearth(["-config=a.yaml"])).served).toEqual({ configFile: "a.yaml", flags: {} });
    expect((await hearth(["serve", "--has-gpu", "no"])).served?.flags).toEqual({ has_gpu: "no" });
  });
});

describe("call", () => {
  test("sends the input byte for byte and prints the answer so", async () => {
    const bodies: Buffer[] = [];
    const at = await startDaemon({
      "POST /v1/calls": (request, response, body) => {
        bodies.push(body);
        answer(200, Buffer.concat([Buffer.from(`${request.url} `), body]))(request, response, body);
      },
    });
    const typed = await hearth(["call", "a/b:1", "<é>", "--cpu", "0.5", "--mem", "64", "-H", at]);
    expect(typed).toMatchObject({ code: 0, out: "/v1/calls?image=a%2Fb%3A1&cpu=0.5&mem=64 <é>", err: "" });
    writeFileSync(join(world.folder, "in"), "from a file");
    const read = await hearth(["call", "a", "-i", join(world.folder, "in"), "-H", at]);
    expect(read.out).toMatch(/ from a file$/);
    const piped = await hearth(["call", "a", "-i", "-", "-H", at], { stdin: "piped" });
    expect(piped.out).toMatch(/ piped$/);
    expect(bodies.map(String)).toEqual(["<é>", "from a file", "piped"]);
  });

  test("sends the token of the environment or of a file", async () => {
    const tokens: (string | undefined)[] = [];
    const at = await startDaemon({
      "POST /v1/calls": (request, response, body) => {
        tokens.push(request.headers.authorization);
        answer(200, "")(request, response, body);
      },
    });
    writeFileSync(join(world.folder, "token"), "two\n");
    await hearth(["call", "a", "-H", at], { env: { HEARTH_TOKEN: "one" } });
    await hearth(["call", "a", "-H", at], { env: { HEARTH_TOKEN_FILE: join(world.folder, "token") } });
    expect(tokens).toEqual(["Bearer one", "Bearer two"]);
  });

  test("a task that says no ends with 1 and still prints its answer", async () => {
    const at = await startDaemon({ "POST /v1/calls": answer(418, "teapot") });
    expect(await hearth(["call", "a", "-H", at])).toMatchObject({
      code: 1,
      out: "teapot",
      err: "hearth: the task answered with status 418\n",
    });
  });

  test.each([
    ["PAUSED", 4],
    ["QUEUE_TIMEOUT", 4],
    ["RESOURCES_EXCEED_LIMIT", 4],
    ["IMAGE_NOT_FOUND", 127],
    ["TASK_NOT_FOUND", 127],
    ["IMAGE_UNUSABLE", 126],
    ["RUN_TIMEOUT", 124],
    ["SANDBOX_EXITED_EARLY", 125],
    ["START_BACKOFF", 125],
    ["INPUT_INVALID", 2],
  ] as const)("%s ends with %i", async (code, exit) => {
    const at = await startDaemon({ "POST /v1/calls": problem(code, { reason: "because" }) });
    const ran = await hearth(["call", "a", "-H", at]);
    expect(ran).toMatchObject({ code: exit, out: "" });
    expect(ran.err).toContain("because");
  });

  test("--json makes one object of the answer, and of an error", async () => {
    const at = await startDaemon({ "POST /v1/calls": answer(200, Buffer.from([0xff, 0])) });
    const whole = await hearth(["call", "a", "--json", "-H", at]);
    expect(JSON.parse(whole.out)).toMatchObject({
      status: 200,
      isSuccess: true,
      start: "warm",
      bodyBase64: "/wA=",
    });
    await world.stopDaemon();
    const failing = await startDaemon({ "POST /v1/calls": problem("PAUSED") });
    const failed = await hearth(["--json", "call", "a", "-H", failing]);
    expect(JSON.parse(failed.out)).toMatchObject({ error: { code: "PAUSED", retry: "later" } });
  });
});

describe("lists", () => {
  const routes = {
    "GET /v1/sandboxes": json({ sandboxes: [SANDBOX, OTHER] }),
    "GET /v1/jobs": json({ jobs: [JOB] }),
    "GET /v1/waiting": json({
      waiting: [
        {
          ...{ taskKey: "j", image: "sim", resources: SANDBOX.resources, callers: 1, waitedMs: 20 },
          ...{ reason: "no cards", jobIds: ["k3"] },
        },
        {
          taskKey: "k",
          image: "big",
          resources: SANDBOX.resources,
          callers: 2,
          waitedMs: 10,
          reason: "no room",
        },
      ],
    }),
  };

  test("ps shows what is warm and why the rest waits, as a table, ids or one object", async () => {
    const at = await startDaemon(routes);
    const table = await hearth(["ps", "-H", at]);
    expect(table.out).toContain(
      "aaaabbbbccccddddeeeeffffgg  echo          hot    container  0.5  128 MB  -         1/4    2         9      1 min 1 s  -",
    );
    expect(table.out).toMatch(/other:latest .* 128 MB {2}2 x 4 GB {2}1\/4/);
    expect(table.out).toMatch(
      /^k2p9 {2}1 {4}sim:1 {2}running {2}container {2}0\.5 .* 1 min 1 s {2}s-of-k2p9$/m,
    );
    expect(table.out).toMatch(/^big {4}call {2}2 .* no room$/m);
    expect(table.out).toMatch(/^sim {4}job {3}1 .* no cards$/m);
    expect(table.out).not.toContain("\u001b");
    expect((await hearth(["ps", "-q", "-H", at])).out).toBe(`${SANDBOX.id}\n${OTHER.id}\n${JOB.sandboxId}\n`);
    expect(JSON.parse((await hearth(["ps", "--json", "-H", at])).out)).toMatchObject({
      sandboxes: [{ id: SANDBOX.id }, { id: OTHER.id }],
      jobs: [{ jobId: "k2p9" }],
      waiting: [{ reason: "no cards" }, { reason: "no room" }],
    });
  });

  test("a warm task may be named by the beginning of its id, its image or its name; several are asked back", async () => {
    const evicted: (string | undefined)[] = [];
    const note: Route = (request, response) => {
      evicted.push(request.url);
      response.writeHead(204).end();
    };
    const at = await startDaemon({
      ...routes,
      [`DELETE /v1/sandboxes/${SANDBOX.id}`]: note,
      [`DELETE /v1/sandboxes/${OTHER.id}`]: note,
    });
    expect(await hearth(["evict", "aaaab", "other", "-H", at])).toMatchObject({
      code: 0,
      out: `${SANDBOX.id}\n${OTHER.id}\n`,
    });
    expect(await hearth(["evict", "mecanywhere_echo", "--force", "-H", at])).toMatchObject({ code: 0 });
    expect(evicted.at(-1)).toContain("force=true");
    expect(await hearth(["evict", "aaaa", "-H", at])).toMatchObject({
      code: 2,
      err: expect.stringContaining(OTHER.id),
    });
    expect(await hearth(["evict", "zzz", "-H", at])).toMatchObject({ code: 2 });
  });

  test("a worker is evicted by the sandbox id that ps shows, its beginning, or its door's name for it", async () => {
    const evicted: (string | undefined)[] = [];
    const at = await startDaemon({
      ...routes,
      "GET /v1/jobs": json({ jobs: [{ ...JOB, jobId: "c-17", sandboxId: "01m7zz" }] }),
      "DELETE /v1/sandboxes/01m7zz": (request, response) => {
        evicted.push(request.url);
        response.writeHead(204).end();
      },
    });
    for (const name of ["01m7zz", "01m7", "c-17"])
      expect(await hearth(["evict", name, "--force", "-H", at])).toMatchObject({ code: 0, out: "01m7zz\n" });
    expect(evicted).toEqual(Array.from({ length: 3 }, () => "/v1/sandboxes/01m7zz?force=true"));
    expect(await hearth(["evict", "c-1", "-H", at])).toMatchObject({ code: 2 });
  });

  test("events are printed as lines, and followed over a broken connection from the last one on", async () => {
    const asked: (string | undefined)[] = [];
    const event = (id: string, state: string): string =>
      `${JSON.stringify({ id, at: "2026-01-02T03:04:05.678Z", type: "executor", state })}\n`;
    const at = await startDaemon({
      "GET /v1/events": (request, response, body) => {
        asked.push(request.url);
        if (asked.length === 1) response.end(event("a.1", "pausing") + event("a.2", "paused"));
        else if (asked.length === 2) response.end(event("a.3", "running"));
        else problem("TOKEN_REQUIRED")(request, response, body);
      },
    });
    const ran = await hearth(["events", "--recent", "5", "-H", at]);
    expect(ran.out).toBe(
      "03:04:05.678  executor: pausing\n03:04:05.678  executor: paused\n03:04:05.678  executor: running\n",
    );
    expect(ran.err).toContain("a valid bearer token is required");
    expect(ran.code).not.toBe(0);
    expect(asked).toEqual([
      "/v1/events?recent=5",
      "/v1/events?after=a.2&recent=5",
      "/v1/events?after=a.3&recent=5",
    ]);
  });

  test("logs print the last lines, then what comes", async () => {
    const at = await startDaemon({
      ...routes,
      [`GET /v1/sandboxes/${SANDBOX.id}/logs`]: (request, response, body) => {
        if (request.url?.includes("follow") !== true) {
          json({ text: "one\ntwo\nthree\n", isTruncated: false, sandboxId: SANDBOX.id, hasEnded: false })(
            request,
            response,
            body,
          );
          return;
        }
        response.setHeader("content-type", "application/x-ndjson");
        response.write('{"stream":"stdout","text":"fo"}\n{"stream":');
        response.end('"stderr","text":"ur\\n"}\n');
      },
    });
    expect(await hearth(["logs", "echo", "--tail", "2", "-H", at])).toMatchObject({
      code: 0,
      out: "two\nthree\n",
    });
    expect(await hearth(["logs", "echo", "-f", "--tail", "1", "-H", at])).toMatchObject({
      out: "three\nfour\n",
    });
  });

  test("logs of one that has ended are told as that, and end, followed or not; one that is unknown is wrong use", async () => {
    const at = await startDaemon({
      "GET /v1/sandboxes": json({ sandboxes: [OTHER] }),
      "GET /v1/sandboxes/echo/logs": json({
        text: "bye\n",
        isTruncated: false,
        sandboxId: SANDBOX.id,
        hasEnded: true,
      }),
      "GET /v1/sandboxes/nobody/logs": problem("SANDBOX_NOT_FOUND"),
    });
    for (const options of [[], ["-f"]]) {
      expect(await hearth(["logs", "echo", ...options, "-H", at])).toEqual({
        code: 0,
        out: "bye\n",
        err: `hearth: ${SANDBOX.id} has ended; this is what it printed last\n`,
        served: undefined,
      });
    }
    expect((await hearth(["logs", "echo", "--json", "-q", "-H", at])).out).toBe(
      `{"text":"bye\\n","isTruncated":false,"sandboxId":"${SANDBOX.id}","hasEnded":true}\n`,
    );
    expect(await hearth(["logs", "nobody", "-H", at])).toMatchObject({
      code: 2,
      err: expect.stringContaining('no warm task is called "nobody"'),
    });
  });
});

describe("config", () => {
  const settings = [
    { key: "cpu", value: 2, origin: "api", unit: "cores", description: "x", isLive: true },
    { key: "images.allow", value: ["a", "b"], origin: "default", description: "x", isLive: false },
  ];

  test("get prints one value, or key and value", async () => {
    const at = await startDaemon({ "GET /v1/config": json({ settings }) });
    expect((await hearth(["config", "get", "cpu", "-H", at])).out).toBe("2\n");
    expect((await hearth(["config", "get", "-H", at])).out).toBe("cpu = 2\nimages.allow = a, b\n");
    expect((await hearth(["config", "get", "--json", "-H", at])).out).toBe(
      '{"cpu":2,"images.allow":["a","b"]}\n',
    );
    expect(await hearth(["config", "get", "cpus", "-H", at])).toMatchObject({ code: 2 });
  });

  test("set sends all changes at once, and prints every fault of a refused one", async () => {
    let sent: unknown;
    const at = await startDaemon({
      "PATCH /v1/config": (request, response, body) => {
        sent = JSON.parse(body.toString());
        json({ settings, notes: ["cpu is 2 instead of 9"] })(request, response, body);
      },
    });
    const ran = await hearth(["config", "set", "cpu=9", "log.level=debug", 'images.allow=["a"]', "-H", at]);
    expect(sent).toEqual({ cpu: 9, "log.level": "debug", "images.allow": ["a"] });
    expect(ran).toMatchObject({ code: 0, err: "hearth: cpu is 2 instead of 9\n" });
    await world.stopDaemon();
    const refusing = await startDaemon({
      "PATCH /v1/config": problem("CONFIG_INVALID", { faults: ["cpu: wrong", "mem: wrong"] }),
    });
    const refused = await hearth(["config", "set", "cpu=x", "-H", refusing]);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.err).toContain("  cpu: wrong\n  mem: wrong\n");
  });

  test("show and path need no daemon; a wrong file ends with 2 and its faults", async () => {
    expect(await hearth(["config", "show", "--origin"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("4 cores"),
    });
    expect(await hearth(["config", "show", "-c", "bad.yaml"])).toMatchObject({
      code: 2,
      err: "bad.yaml:1:1: cpu: expected a number\n",
    });
    expect(await hearth(["config", "path"])).toMatchObject({ code: 1 });
    expect(await hearth(["config", "path", "-c", "a.yaml"])).toMatchObject({ code: 0, out: "a.yaml\n" });
  });
});

describe("the rest", () => {
  test("stats lists the host's cards with what is on each, and says why there are none", async () => {
    const amounts = { cpuMillis: 4000, memoryBytes: 1_073_741_824, gpuCount: 2 };
    const gpu = {
      ...{ id: "GPU-a", index: 0, model: "Test 24G", memoryBytes: 25_769_803_776 },
      ...{ memoryUsedBytes: 2_576_980_378, computePercent: 42, isHealthy: true, isBusyOutside: false },
      holders: [{ sandboxId: "s", memoryBytes: 0 }],
    };
    const host = {
      ...{ version: "1", state: "running", driver: "docker", isolation: ["container"] },
      ...{ cpuMillis: 8000, memoryBytes: 1_073_741_824, cpuPercent: 1, memoryPercent: 2 },
      ...{ capacity: amounts, reserved: { ...amounts, gpuCount: 1 }, running: 0, waiting: 0, sandboxes: 1 },
      disk: { totalBytes: 2 ** 40, availableBytes: 2 ** 38, capacityBytes: 2 ** 39, reservedBytes: 2 ** 30 },
    };
    const free = { ...gpu, id: "GPU-b", index: 1, holders: [] };
    const busy = { ...free, id: "GPU-c", index: 2, isBusyOutside: true };
    const sick = { ...free, id: "GPU-d", index: 3, isHealthy: false, reason: "XID 79" };
    const at = await startDaemon({
      "GET /v1/host": json({ ...host, gpus: [gpu, free, busy, sick] }),
      "GET /v1/stats": json({}),
    });
    const { out } = await hearth(["stats", "-H", at]);
    expect(out).toMatch(/^GPUs +2 +1$/m);
    expect(out).toMatch(/^disk +1 TB +75 % +512 GB +1 GB$/m);
    expect(out).toMatch(/^0 +Test 24G +24 GB +10 % +42 % +1 task +GPU-a$/m);
    for (const state of ["free", "in use from outside", "unusable: XID 79"]) expect(out).toContain(state);
  });

  test("pause says how many calls still run", async () => {
    const at = await startDaemon({
      "POST /v1/pause": json({ state: "pausing", running: 2 }),
      "POST /v1/unpause": json({ state: "running", running: 0 }),
    });
    expect((await hearth(["pause", "-H", at])).out).toBe("paused; 2 calls still run\n");
    expect((await hearth(["unpause", "-H", at])).out).toBe("running\n");
  });

  test("prefetch prints the content it brought", async () => {
    const lines = [
      { type: "pulling", image: "a", doneBytes: 1, totalBytes: 2 },
      { type: "done", digest: "sha256:1", wasPulled: true, retired: 1 },
    ];
    const at = await startDaemon({
      "POST /v1/images/prefetch": (_, response) =>
        void response.end(lines.map((line) => `${JSON.stringify(line)}\n`).join("")),
    });
    expect((await hearth(["prefetch", "a", "-H", at])).out).toMatch(/^sha256:1 fetched; 1 warm/);
    expect((await hearth(["prefetch", "a", "--quiet", "-H", at])).out).toBe("sha256:1\n");
  });

  test("doctor says what it found in plain words, and openapi prints the description", async () => {
    const { code, out } = await hearth(["doctor"]);
    expect(code).toBe(0);
    expect(out).toBe(
      "What it can isolate\n  ok       plain processes\n  missing  no engine answers\n           start Docker\n",
    );
    expect(JSON.parse((await hearth(["doctor", "--json"])).out)).toMatchObject({ isAble: true });
    expect(JSON.parse((await hearth(["openapi"])).out)).toEqual({ openapi: "3.1.0" });
  });

  test("attest prints the evidence as it came, and the session apart from it; a call names the session", async () => {
    const session = {
      ...{ id: "the-id", sandboxId: "s", image: "enclave", sgx: true },
      ...{ calls: 0, ageMs: 1, expiresInMs: 300_000 },
    };
    const seen: string[] = [];
    const at = await startDaemon({
      "POST /v1/attest": (request, response) => {
        seen.push(request.url ?? "", request.headers.accept ?? "");
        const evidence = {
          contentType: "application/x-quote",
          base64: Buffer.from("quote").toString("base64"),
        };
        response.writeHead(200, { "hearth-outcome": "success" }).end(JSON.stringify({ session, evidence }));
      },
      "POST /v1/calls": (request, response) => {
        seen.push(request.url ?? "");
        response.writeHead(200, { "hearth-outcome": "success", "hearth-session": "another" }).end("done");
      },
    });
    const ran = await hearth(["attest", "enclave", "--mem", "64", "-H", at]);
    expect(ran).toMatchObject({
      code: 0,
      out: "quote",
      err: expect.stringContaining("session the-id, ends after 5 min"),
    });
    expect(seen[1]).toBe("application/json");
    expect(seen[0]).toMatch(/mem=64/);
    expect(JSON.parse((await hearth(["attest", "enclave", "--json", "-H", at])).out)).toMatchObject({
      session: { id: "the-id" },
      evidence: { base64: "cXVvdGU=" },
    });
    const called = await hearth(["call", "enclave", "x", "--session", "new", "-H", at]);
    expect(called).toMatchObject({ code: 0, out: "done", err: expect.stringContaining("session another") });
    expect(seen.at(-1)).toContain("session=new");
  });

  test("sessions are listed without their ids and ended by them", async () => {
    const ended: string[] = [];
    const entry = { sandboxId: "s", image: "enclave", sgx: true, calls: 1, ageMs: 1000, expiresInMs: 60_000 };
    const at = await startDaemon({
      "GET /v1/sessions": (_, response) => {
        const sessions = [
          { ref: "abcdef", isHold: false, ...entry },
          { isHold: true, ...entry },
        ];
        response.writeHead(200).end(JSON.stringify({ sessions }));
      },
      "DELETE /v1/sessions/the-id": (request, response) => {
        ended.push(request.url ?? "");
        response.writeHead(204).end();
      },
    });
    const { out } = await hearth(["session", "list", "-H", at]);
    expect(out).toMatch(/abcdef… +enclave/);
    expect(out).toContain("(held)");
    expect(await hearth(["session", "end", "the-id", "-H", at])).toMatchObject({ code: 0, out: "" });
    expect(ended).toEqual(["/v1/sessions/the-id"]);
  });

  test("task new writes a whole folder, and none over one that is there", async () => {
    const ran = await hearth(["task", "new", "hello"]);
    expect(ran).toMatchObject({ code: 0, out: expect.stringContaining("hearth call hello world") });
    const task: unknown = JSON.parse(readFileSync(join(world.folder, "tasks/hello/task.json"), "utf8"));
    expect(task).toMatchObject({ id: "hello", command: ["node", "main.mjs"] });
    expect(readFileSync(join(world.folder, "tasks/hello/Dockerfile"), "utf8")).toContain("COPY main.mjs");
    expect(await hearth(["task", "new", "hello"])).toMatchObject({ code: 2 });
    expect(await hearth(["task", "new", "../x"])).toMatchObject({ code: 2 });
    expect(await hearth(["task", "new", "x", "--template", "cobol"])).toMatchObject({ code: 2 });
  });
});

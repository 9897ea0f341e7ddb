import { rm, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import { createServer } from "node:http";
import { arch } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TaskFolders } from "../support/echo-tasks.ts";
import { makeTaskFolders } from "../support/echo-tasks.ts";
import { scrape } from "../support/exposition.ts";
import { call } from "../support/legacy-call.ts";
import { poll } from "../support/poll.ts";
import { outputOf } from "../support/run-program.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { freePort, startDaemon } from "../support/start-daemon.ts";

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function get(url: string, init: RequestInit = {}): Promise<Answer> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(60_000), ...init });
  return { status: answer.status, type: answer.headers.get("content-type") ?? "", text: await answer.text() };
}

/** Its classes have been tested. */
async function untilReady(daemon: Daemon): Promise<void> {
  await poll("the daemon is ready", async () => {
    const { status, text } = await get(`${daemon.monitorUrl}/readyz`);
    return status === 200 || text;
  });
}

/** The lines of `/state/reported`. */
async function reported(daemon: Daemon): Promise<ReadonlyMap<string, string>> {
  const { text } = await get(`${daemon.monitorUrl}/state/reported`);
  return new Map(
    text
      .trim()
      .split("\n")
      .map((line): [string, string] => {
        const at = line.indexOf("=");
        return [line.slice(0, at), line.slice(at + 1)];
      }),
  );
}

let tasks: TaskFolders;
beforeAll(async () => {
  tasks = await makeTaskFolders(["a"]);
});
afterAll(async () => {
  await tasks[Symbol.asyncDispose]();
});

describe("its address", () => {
  test("X1: curl shows the start; the port comes from the file, the environment or a flag, the later ones stronger", async () => {
    const [inFile, inEnv, inFlag] = [await freePort(), await freePort(), await freePort()];
    const config = `monitor: {port: ${inFile}, host: 127.0.0.1}\n`;
    const cases = [
      { env: { HEARTH_MONITOR_PORT: "" }, args: [], expected: inFile },
      { env: { HEARTH_MONITOR_PORT: String(inEnv) }, args: [], expected: inEnv },
      {
        env: { HEARTH_MONITOR_PORT: String(inEnv) },
        args: ["--monitor-port", String(inFlag)],
        expected: inFlag,
      },
    ];
    for (const { env, args, expected } of cases) {
      await using daemon = await startDaemon({ config, args, env: { ...tasks.env, ...env } });
      const url = `http://127.0.0.1:${expected}/monitoring/startup`;
      expect(await outputOf("curl", ["-sS", "-i", url])).toMatch(/^HTTP\/1\.1 200 OK[^]*\{"status":"ok"\}$/);
      expect(await daemon.end("SIGTERM")).toBe(0);
    }
  }, 180_000);

  test.each([
    ["the file", [], {}, "127.0.0.4"],
    ["the environment", [], { HEARTH_MONITOR_HOST: "127.0.0.3" }, "127.0.0.3"],
    ["a flag", ["--monitor-host", "127.0.0.2"], { HEARTH_MONITOR_HOST: "127.0.0.3" }, "127.0.0.2"],
  ] as const)(
    "X1: the address comes from %s, and port 0 takes a free one",
    async (_, args, env, expected) => {
      await using daemon = await startDaemon({
        config: "monitor: {host: 127.0.0.4}\n",
        env: { ...tasks.env, ...env },
        args: [...args, "--monitor-port", "0"],
      });
      const opened = daemon
        .log()
        .split("\n")
        .find((line) => line.includes('"door":"monitor"'));
      const { host, port } = JSON.parse(opened ?? "{}") as { host: string; port: number };
      expect(host).toBe(expected);
      expect((await get(`http://${expected}:${port}/livez`)).text).toBe("ok");
      // There, and nowhere else.
      await expect(get(`http://127.0.0.1:${port}/livez`)).rejects.toThrow();
    },
  );

  test("X1: a taken port fails the start with its number, and nothing is touched", async () => {
    await using taken = await occupy();
    await using daemon = await startDaemon({ env: tasks.env, monitorPort: taken.port, waits: false });
    expect(await daemon.ended).toBe(1);
    expect(daemon.log()).toContain(`port ${taken.port}`);
    expect(daemon.log()).toContain('"field":"monitor.port"');
    expect(daemon.log()).not.toContain("driver.opened");
  });

  test("X1: two doors that want one port fail the start as well", async () => {
    const port = await freePort();
    await using daemon = await startDaemon({ env: tasks.env, port, monitorPort: port, waits: false });
    expect(await daemon.ended).toBe(1);
    expect(daemon.log()).toContain(`port ${port}`);
    expect(daemon.log()).not.toContain("driver.opened");
  });
});

describe("what it answers", () => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon({ env: tasks.env });
    await untilReady(daemon);
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
  });

  test("the bodies of startup and health are the contract's, key by key", async () => {
    expect(await get(`${daemon.monitorUrl}/monitoring/startup`)).toEqual({
      status: 200,
      type: "application/json",
      text: '{"status":"ok"}',
    });
    expect(await get(`${daemon.monitorUrl}/monitoring/health`)).toEqual({
      status: 200,
      type: "application/json",
      text: '{"status":"ok","message":"Successful","checker":"GenericHealthChecker"}',
    });
  });

  test("probes answer one word, and every check when asked to be verbose", async () => {
    for (const name of ["livez", "readyz", "healthz"]) {
      expect(await get(`${daemon.monitorUrl}/${name}`)).toMatchObject({ status: 200, text: "ok" });
      const { text } = await get(`${daemon.monitorUrl}/${name}?verbose`);
      expect(text).toMatch(/^\[\+\]/);
      expect(text).toContain(`${name} check passed`);
    }
    expect((await get(`${daemon.monitorUrl}/readyz?verbose`)).text).toContain(
      "[+]engine ok\n[+]door http ok\n[+]calls ok\n[+]isolation ok",
    );
    expect(await get(`${daemon.monitorUrl}/readyz?verbose=0`)).toMatchObject({ status: 200, text: "ok" });
  });

  test("a paused executor is healthy and alive, but not ready", async () => {
    await fetch(`${daemon.baseUrl}/pause`, { method: "POST" });
    const ready = await get(`${daemon.monitorUrl}/readyz`);
    expect(ready).toMatchObject({ status: 503 });
    expect(ready.text).toContain("[-]calls failed: the executor is paused");
    expect((await get(`${daemon.monitorUrl}/monitoring/health`)).status).toBe(200);
    await fetch(`${daemon.baseUrl}/unpause`, { method: "POST" });
    expect((await get(`${daemon.monitorUrl}/readyz`)).status).toBe(200);
  });

  test("only GET and HEAD are taken, and what is no path is 404", async () => {
    expect((await get(`${daemon.monitorUrl}/nothing`)).status).toBe(404);
    expect((await get(`${daemon.monitorUrl}/monitoring/`)).status).toBe(404);
    const posted = await fetch(`${daemon.monitorUrl}/livez`, { method: "POST", body: "x" });
    expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    const head = await fetch(`${daemon.monitorUrl}/metrics`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect(Number(head.headers.get("content-length"))).toBeGreaterThan(1000);
  });

  test("a foreign Host and a page of another origin are turned away", async () => {
    const asked = (header: string): Promise<string> =>
      outputOf("curl", [
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-H",
        header,
        `${daemon.monitorUrl}/metrics`,
      ]);
    expect(await asked("Host: evil.example")).toBe("403");
    expect(await asked("Origin: http://evil.example")).toBe("403");
    expect(await asked("Accept: text/plain")).toBe("200");
  });

  test("X5: all seven facts are reported, as text and as JSON", async () => {
    const facts = await reported(daemon);
    expect(facts.get("executor_id")).toMatch(/^\w+$/);
    expect(facts.get("environment")).toBe("host");
    expect(facts.get("os")).toMatch(/^Linux /);
    expect(facts.get("cpu_architecture")).toBe(arch());
    expect(facts.get("state_hash")).toMatch(/^[0-9a-f]{64}$/);
    expect(Math.abs(Date.parse(facts.get("system_time") ?? "") - Date.now())).toBeLessThan(60_000);
    for (const name of ["cpu_cores", "memory_bytes", "disk_bytes", "gpus"]) {
      expect(Number(facts.get(`total_${name}`))).toBeGreaterThanOrEqual(Number(facts.get(`free_${name}`)));
    }
    const asJson = await get(`${daemon.monitorUrl}/state/reported`, {
      headers: { accept: "application/json" },
    });
    const inJson = Object.entries(JSON.parse(asJson.text) as Record<string, unknown>);
    const changes = /^(system_time|free_)/;
    expect(inJson.map(([name]) => name)).toEqual([...facts.keys()]);
    for (const [name, value] of inJson)
      if (!changes.test(name)) expect([name, String(value)]).toEqual([name, facts.get(name)]);
  });

  test("X6: what was asked of the host is its warm tasks", async () => {
    const before = await get(`${daemon.monitorUrl}/state/desired`);
    expect(before).toMatchObject({ status: 200, text: "No desired state received from Server yet" });
    await call(daemon, "a");
    const { text } = await get(`${daemon.monitorUrl}/state/desired`);
    expect(text).toMatch(/^image=a isolation=default .*sandboxes=1 waiting=0\n$/);
    const asJson = await get(`${daemon.monitorUrl}/state/desired`, {
      headers: { accept: "application/json" },
    });
    expect(JSON.parse(asJson.text)).toMatchObject({ tasks: [{ image: "a", sandboxes: 1 }] });
  });
});

test("X5: the hash stays over time and over a restart, and changes with what is reported", async () => {
  await using state = await makeTaskFolders([]);
  const options = { env: { ...tasks.env, HEARTH_CPU: "1.5" }, stateDir: `${state.path}/state` };
  let first: ReadonlyMap<string, string>;
  {
    await using daemon = await startDaemon(options);
    await untilReady(daemon);
    first = await reported(daemon);
    await poll("time goes on", async () => {
      const now = await reported(daemon);
      expect(now.get("state_hash")).toBe(first.get("state_hash"));
      return now.get("system_time") !== first.get("system_time") || "the same";
    });
    // A reservation is a change, and its return is none.
    await call(daemon, "a");
    expect((await reported(daemon)).get("state_hash")).not.toBe(first.get("state_hash"));
    const changed = await fetch(`${daemon.baseUrl}/v1/config`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: '{"cpu": 1}',
    });
    expect(changed.status).toBe(200);
    expect((await reported(daemon)).get("total_cpu_cores")).toBe("1");
    await daemon.end("SIGTERM");
  }
  // From the first answer on: what is not known for good yet is not told.
  await using again = await startDaemon({ ...options, waits: false });
  const told = new Set<string | undefined>();
  await poll("it is ready", async () => {
    const facts = await reported(again).catch(() => new Map<string, string>());
    if (facts.has("state_hash")) told.add(facts.get("state_hash"));
    return (await get(`${again.monitorUrl}/readyz`).catch(() => undefined))?.status === 200 || "not ready";
  });
  const second = await reported(again);
  expect([...told, second.get("state_hash")]).toEqual(Array(told.size + 1).fill(first.get("state_hash")));
  expect([...second].filter(([name]) => name !== "system_time")).toEqual(
    [...first].filter(([name]) => name !== "system_time"),
  );
});

test("while the last calls finish it is alive and says that it is no longer ready", async () => {
  await using daemon = await startDaemon({ env: tasks.env });
  await call(daemon, "a");
  const last = call(daemon, "a", "hold release");
  await poll("the call runs", async () => {
    const running = (await scrape(daemon.monitorUrl)).value("hearth_calls_running");
    return running === 1 || String(running);
  });
  const ended = daemon.end("SIGTERM");
  await poll("it is not ready", async () => {
    const { status, text } = await get(`${daemon.monitorUrl}/readyz`);
    return (status === 503 && text.includes("[-]calls failed: the executor is draining")) || text;
  });
  expect((await get(`${daemon.monitorUrl}/livez`)).status).toBe(200);
  expect((await scrape(daemon.monitorUrl)).value("hearth_state", { state: "draining" })).toBe(1);
  await writeFile(`${tasks.path}/a/release`, "");
  expect((await last).success).toBe(true);
  expect(await ended).toBe(0);
  await rm(`${tasks.path}/a/release`);
});

test("with tokens, probes stay open and the rest needs one that may read", async () => {
  await using daemon = await startDaemon({
    env: tasks.env,
    config:
      "http:\n  tokens:\n    - {name: reader, token: secret-reader, scopes: [read]}\n    - {name: runner, token: secret-runner, scopes: [run]}\n",
    waits: false,
  });
  await poll("it is up", async () => {
    const answer = await get(`${daemon.monitorUrl}/monitoring/startup`).catch(() => undefined);
    return answer?.status === 200 || "not yet";
  });
  await untilReady(daemon);
  for (const open of ["monitoring/startup", "monitoring/health", "livez", "readyz", "healthz"]) {
    expect([open, (await get(`${daemon.monitorUrl}/${open}`)).status]).toEqual([open, 200]);
  }
  const statusOf = async (path: string, token?: string): Promise<number> => {
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return (await get(`${daemon.monitorUrl}/${path}`, { headers })).status;
  };
  for (const path of ["metrics", "monitoring/metrics", "state/reported", "state/desired"]) {
    expect(await statusOf(path)).toBe(401);
    expect(await statusOf(path, "secret-runner")).toBe(403);
    expect(await statusOf(path, "secret-reader")).toBe(200);
  }
});

/** A port that somebody else holds. */
async function occupy(): Promise<AsyncDisposable & { readonly port: number }> {
  const server: Server = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

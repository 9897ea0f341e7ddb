import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openBrowser, whyNoBrowser } from "../support/browser.ts";
import { Client2023, packInput, readOutput } from "../support/client-2023.ts";
import { untilShown, visit } from "../support/page-faults.ts";
import { poll } from "../support/poll.ts";
import type { PrivateRedis } from "../support/private-redis.ts";
import { freePort, openPrivateRedis } from "../support/private-redis.ts";
import type { ProgramEnd } from "../support/run-program.ts";
import { runProgram } from "../support/run-program.ts";
import type { WebApi } from "../support/start-api.ts";
import { startApi } from "../support/start-api.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const noBrowser = whyNoBrowser();
const program = join(root, "dist/hearth.mjs");

describe("a client of 2023, `hearth api`, Redis and a daemon, each a process of its own", () => {
  let folder: string;
  let redis: PrivateRedis;
  let api: WebApi;
  let host: Daemon;
  let client: Client2023;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hearth-loop-"));
    mkdirSync(join(folder, "store"));
    redis = await openPrivateRedis();
    const port = await freePort();
    const images = join(folder, "images.json");
    writeFileSync(
      images,
      '{"math": "executer", "test": "executer", "gromacs": {"image": "executer", "gpu": false}}',
    );
    const config = [
      "driver: process",
      "process: { network: host }",
      "drain_timeout_s: 3",
      `tasks: { dirs: [${JSON.stringify(join(root, "examples"))}] }`,
      `api: { port: ${port} }`,
      `stream: ${JSON.stringify({
        images_file: images,
        artifact_store: join(folder, "store"),
        api_url: `http://127.0.0.1:${port}`,
        metadata_host: "none",
        fleet_s: 1,
        lease_s: 4,
        kill_grace_s: 2,
        redis: { host: "127.0.0.1", port: redis.port },
      })}`,
    ].join("\n");
    api = await startApi(config, join(folder, "api"), port);
    host = await startDaemon({ config, stateDir: join(folder, "host") });
    client = new Client2023(api.baseUrl);
    await poll("the host has registered", async () => {
      const queue = await host.cli("queue", "list", "--json").catch(String);
      return queue.includes("math_requests") || `${queue}\n${host.log().slice(-2000)}`;
    });
  }, 120_000);

  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    await api[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }, 180_000);

  const sleeper = (seconds: number): Buffer => packInput({ "input.json": JSON.stringify({ seconds }) });

  test("I15: submit to result: a core function returns its value", async () => {
    const id = await client.submit("math.sum", { a: 2, b: { shape: [2] } });
    expect(await client.upload(id, packInput({ "input.json": '{"a": 2, "b": [1, 2.5]}' }))).toBe("submitted");
    expect(await client.waitAsCoreFunction(id)).toBe("success");
    const { names, texts } = readOutput(await client.output(id));
    // Without this entry it would take the archive for a part of one.
    expect(names).toContain("artifacts/");
    expect(JSON.parse(texts["output.json"] ?? "")).toEqual([5.5]);
    expect(texts["artifacts/stdout.txt"]).toBe("5.5\n");
    const task = await client.task(id);
    expect(task).toMatchObject({ task_id: id, method_name: "math.sum", status: "success" });
    expect(task.executer).toMatchObject({ host_type: "inductiva-hardware" });
    const seconds = (time: string | null): number => Date.parse((time ?? "").replace(/\d{3}\+00:00$/, "Z"));
    expect(seconds(task.end_time)).toBeGreaterThanOrEqual(seconds(task.start_time));
    expect(seconds(task.start_time)).toBeGreaterThanOrEqual(seconds(task.input_submit_time));
  });

  test("I15: partial download and the list of what there is", async () => {
    const id = await client.submit("math.matmul");
    await client.upload(id, packInput({ "input.json": '{"m": [[1, 2], [3, 4]], "n": [[5, 6], [7, 8]]}' }));
    expect(await client.wait(id)).toBe("success");
    const { contents } = await client.outputList(id);
    expect(contents.map(({ name }) => name)).toContain("artifacts/product.npy");
    const { names, texts } = readOutput(await client.output(id, ["product.npy", "stdout.txt"]));
    expect([...names].sort()).toEqual(["product.npy", "stdout.txt"]);
    expect(texts["stdout.txt"]).toContain("multiplied 2 x 2 and 2 x 2");
    expect((await client.tasks("?status=success")).map(({ task_id }) => task_id)).toContain(id);
  });

  test("I15: a simulator gets a folder, and gives back what it made of it", async () => {
    const id = await client.submit("md.gromacs.run_simulation", {
      sim_dir: "/home/me/case",
      input_filename: "in.json",
    });
    const input = packInput({
      "input.json": '{"sim_dir": "sim_dir", "input_filename": "in.json", "device": "cpu"}',
      "sim_dir/in.json": '{"cells": 4, "steps": 400, "left": 100}',
    });
    await client.upload(id, input);
    expect(await client.wait(id)).toBe("success");
    const { names, texts } = readOutput(await client.output(id));
    expect(names).toEqual(
      expect.arrayContaining(["artifacts/", "artifacts/case/", "artifacts/case/in.json"]),
    );
    expect(JSON.parse(texts["output.json"] ?? "")).toEqual([]);
    expect(texts["artifacts/temperatures.csv"]).toMatch(/^0,100\r?\n1,99\.9/);
    expect(texts["artifacts/stdout.txt"]).toContain("step 400 of 400");
  });

  test("I15: a script that fails is `failed`, and its output says why", async () => {
    const id = await client.submit("math.matmul");
    await client.upload(id, packInput({ "input.json": '{"m": [[1]], "n": [[1, 2], [3, 4]]}' }));
    expect(await client.waitAsCoreFunction(id)).toBe("failed");
    const { texts } = readOutput(await client.output(id));
    expect(texts["artifacts/stderr.txt"]).toContain("cannot be multiplied");
  });

  test("I15: kill through the API: one that runs, then one that waits", async () => {
    const running = await client.submit("test.sleep");
    await client.upload(running, sleeper(300));
    await poll("it runs", async () => {
      const status = await client.status(running);
      return status === "started" || status;
    });
    // There is one slot, so this one waits.
    const waiting = await client.submit("test.sleep");
    await client.upload(waiting, sleeper(300));
    expect(await client.kill(waiting)).toBe("killed");
    // It may have ended of it before the API has answered.
    expect(["pending-kill", "killed"]).toContain(await client.kill(running));
    expect(await client.wait(running)).toBe("killed");
    expect(await client.kill(running)).toBe("killed");
    const ends = (await client.tasks("?status=killed")).map(({ task_id }) => task_id);
    expect(ends).toEqual(expect.arrayContaining([running, waiting]));
    expect(readOutput(await client.output(running)).names).toContain("artifacts/");
    // The slot is free, and nothing was stranded.
    const next = await client.submit("math.sum");
    await client.upload(next, packInput({ "input.json": '{"a": 1}' }));
    expect(await client.wait(next)).toBe("success");
  });

  test("an API that is killed comes back with its tasks, and has not missed their end", async () => {
    const id = await client.submit("test.sleep");
    await client.upload(id, sleeper(1));
    await api.kill();
    await poll("the job is over", async () => {
      const events = JSON.stringify(await redis.ask("XREVRANGE", "events", "+", "-", "COUNT", "1"));
      return (events.includes("TaskCompleted") && events.includes(id)) || events;
    });
    await api.start();
    expect(await client.waitAsCoreFunction(id)).toBe("success");
  });

  describe("`hearth submit`", () => {
    const hearth = (...args: string[]): Promise<ProgramEnd> =>
      runProgram(process.execPath, [program, ...args], {
        cwd: folder,
        env: { HEARTH_API_URL: api.baseUrl, HEARTH_HOST: host.baseUrl },
      });

    test("sends parameters, shows what the job prints and brings the result", async () => {
      const { code, stdout, stderr } = await hearth("submit", "test.sleep", "-p", "seconds=2", "-o", "out");
      expect(code, stderr).toBe(0);
      expect(stdout).toContain("slept 1 of 2 s");
      expect(stdout).toContain("slept 2 of 2 s");
      expect(stdout.trim().endsWith("out")).toBe(true);
      expect(stderr).toMatch(/success/);
      expect(JSON.parse(readFileSync(join(folder, "out/output.json"), "utf8"))).toEqual([2]);
      expect(readFileSync(join(folder, "out/artifacts/stdout.txt"), "utf8")).toContain("slept 2 of 2 s");
    });

    test("sends a folder with its files, and one named artifact comes back", async () => {
      mkdirSync(join(folder, "in"));
      writeFileSync(join(folder, "in/input.json"), '{"m": [[2]], "n": [[3]]}');
      const { code, stdout } = await hearth(
        "submit",
        "math.matmul",
        "in",
        "--file",
        "product.npy",
        "-o",
        "part",
        "--json",
      );
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ status: "success", exitCode: 0, output: "part" });
      expect(readFileSync(join(folder, "part/product.npy")).length).toBe(128 + 8);
    });

    test("ends with 1 for a job that failed, and says why", async () => {
      const { code, stdout } = await hearth(
        "submit",
        "math.matmul",
        "-p",
        "m=[[1]]",
        "-p",
        "n=[[1],[2]]",
        "-o",
        "bad",
        "--json",
      );
      expect(code).toBe(1);
      expect(JSON.parse(stdout)).toMatchObject({ status: "failed", exitCode: 1 });
    });

    test("tells what a job that failed complained, where no daemon could show it", async () => {
      const words = ["submit", "math.sum", "-p", "a=hello", "-o", "complaint", "--host", "127.0.0.1:1"];
      const { code, stderr } = await hearth(...words);
      expect(code, stderr).toBe(1);
      expect(stderr).toMatch(
        /failed: its command ended with exit code 1\n[^]*ValueError: 'hello' is no number/,
      );
    });

    test("Ctrl-C kills the job", async () => {
      const child = spawn(
        process.execPath,
        [program, "submit", "test.sleep", "-p", "seconds=300", "-o", "cut"],
        {
          cwd: folder,
          env: { ...process.env, HEARTH_API_URL: api.baseUrl, HEARTH_HOST: host.baseUrl },
          stdio: ["ignore", "pipe", "pipe"],
        },
      );
      let printed = "";
      child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
      await poll("it runs", () => printed.includes("slept") || printed);
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGINT");
      expect(await ended).toBe(130);
      const [task] = await client.tasks("?per_page=1");
      expect(task?.status).toBe("killed");
      expect(JSON.parse(readFileSync(join(folder, "cut/output.json"), "utf8"))).toEqual([expect.any(Number)]);
    });

    /** Waits until it says that no host has begun, then as by Ctrl-C. */
    const submitInVain = async (): Promise<{ said: string; printed: string; code: unknown }> => {
      const words = ["submit", "md.nobody.run_simulation", "-o", "never", "--json"];
      const child = spawn(process.execPath, [program, ...words], {
        cwd: folder,
        env: { ...process.env, HEARTH_API_URL: api.baseUrl, HEARTH_HOST: host.baseUrl },
      });
      let [said, printed] = ["", ""];
      child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
      child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
      const ended = new Promise((resolve) => child.once("close", resolve));
      await poll("it is said", () => said.includes("no host has begun it yet") || said);
      child.kill("SIGINT");
      return { code: await ended, said, printed };
    };

    test("says on standard error that no host runs the type that it waits for", async () => {
      // A host that has stood still for a while is not in the fleet until its next sign of life.
      await poll("it says what the fleet tells", async () => {
        const { said, printed, code } = await submitInVain();
        expect(code).toBe(130);
        expect(JSON.parse(printed)).toMatchObject({ status: "killed" });
        return said.includes('none runs its usual type "nobody" but math, test, gromacs;') || said;
      });
    });

    test("wrong use is 2, no API is 3", async () => {
      expect((await hearth("submit", "no.such.method")).code).toBe(2);
      expect((await hearth("submit", "math.sum", "nowhere")).code).toBe(2);
      expect((await hearth("submit", "math.sum", "-p", "x")).code).toBe(2);
      expect((await hearth("submit", "math.sum", "--api", "http://127.0.0.1:1")).code).toBe(3);
    });
  });

  test.skipIf(noBrowser !== undefined)(
    `the fleet on the dashboard${noBrowser === undefined ? "" : ` (${noBrowser})`}`,
    async () => {
      const browser = await openBrowser();
      try {
        const page = await browser.newPage();
        await visit(page, host.monitorUrl);
        const card = page.getByRole("region", { name: "Fleet", exact: true });
        // A host that has stood still for a while is shown as lost until its next sign of life.
        const row = card
          .getByRole("row")
          .filter({ hasText: "this host" })
          .filter({ hasText: /running.*math, test, gromacs/ });
        page.setDefaultTimeout(60_000);
        await untilShown(row);
      } finally {
        await browser.close();
      }
    },
  );

  test("the fleet and the queue, as the command line shows them", async () => {
    await poll("it is shown as running", async () => {
      const fleet = await host.cli("fleet");
      return /running .* math, test, gromacs/.test(fleet) || fleet;
    });
    const fleet = JSON.parse(await host.cli("fleet", "--json")) as { hosts: unknown[] };
    expect(fleet.hosts).toHaveLength(1);
    await redis.ask(
      "XADD",
      "test_requests",
      "*",
      "task_dir",
      "x",
      "method",
      "test.sleep",
      "executer_type",
      "test",
    );
    await poll("it is put aside", async () => {
      const dead = await host.cli("queue", "dead");
      return dead.includes("test_requests") || dead;
    });
    const { letters } = JSON.parse(await host.cli("queue", "dead", "--json")) as {
      letters: { id: string }[];
    };
    expect(JSON.parse(await host.cli("queue", "replay", letters[0]?.id ?? "", "--json"))).toEqual({
      replayed: 1,
    });
    const gone = letters[0]?.id ?? "";
    const again = await runProgram(process.execPath, [program, "queue", "replay", gone, "-H", host.baseUrl]);
    expect(again).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining(`"${gone}"`) as string,
    });
    await poll("it died again", async () => {
      const again = JSON.parse(await host.cli("queue", "dead", "--json")) as { letters: { id: string }[] };
      return (again.letters.length === 1 && again.letters[0]?.id !== letters[0]?.id) || JSON.stringify(again);
    });
  });
});

test("an API that others could reach does not start without a key", async () => {
  const args = [
    program,
    "api",
    "--api-host",
    "0.0.0.0",
    "--api-port",
    "0",
    "--state-dir",
    join(tmpdir(), "unused"),
  ];
  const { code, stderr } = await runProgram(process.execPath, args);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^hearth: [^\n]*api\.key[^\n]*\n$/);
});

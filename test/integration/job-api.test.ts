import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseEvent } from "../../src/contract/executer-tracker/index.ts";
import { Client2023, json, packInput, readOutput, send } from "../support/client-2023.ts";
import type { JobApiWorld } from "../support/job-api-world.ts";
import { openJobApiWorld } from "../support/job-api-world.ts";
import { poll } from "../support/poll.ts";

const EXECUTER = "9f0c1d2e-3a4b-4c5d-8e6f-708192a3b4c5";
const INPUT = packInput({ "input.json": '{"seconds": 0}' });

let world: JobApiWorld;
beforeAll(async () => {
  world = await openJobApiWorld({ uploadBytes: 1_000_000 });
});
afterAll(() => world[Symbol.asyncDispose]());

/** A task whose input is there. */
async function submitted(method = "test.sleep"): Promise<string> {
  const id = await world.client.submit(method);
  await world.client.upload(id, INPUT);
  return id;
}

/** What a host does with a task, in events. */
async function run(
  id: string,
  status: "success" | "failed",
  more: Record<string, unknown> = {},
): Promise<void> {
  await world.event("TaskStarted", { id, status: "started", executer_id: EXECUTER });
  await world.event("TaskCompleted", { id, status, ...more });
  await world.settled();
}

async function entries(stream: string): Promise<Record<string, string>[]> {
  const found = (await world.redis.ask("XRANGE", stream, "-", "+")) as [string, string[]][];
  return found.map(([, flat]) =>
    Object.fromEntries(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ""]] : []))),
  );
}

/** Puts an output where a host would, made by Python as any zip tool would. */
function putOutput(id: string, files: Record<string, string>): Buffer {
  const zip = packInput(files);
  mkdirSync(join(world.storeDir, "1", id), { recursive: true });
  writeFileSync(join(world.storeDir, "1", id, "output.zip"), zip);
  return zip;
}

describe("I15: a task's way through the web API", () => {
  test("submit makes a task, and the events stream says so", async () => {
    const id = await world.client.submit("md.gromacs.run_simulation", { a: { shape: [2, 2] } });
    const created = (await world.events()).find(({ json }) => json["id"] === id);
    expect(created?.type).toBe("TaskCreated");
    expect(created?.json).toMatchObject({
      id,
      status: "pending-input",
      method: "md.gromacs.run_simulation",
      user_id: 1,
    });
    expect(await world.client.status(id)).toBe("pending-input");
  });

  test("the input reaches the store whole, then a host is asked for by the right stream", async () => {
    const id = await world.client.submit("md.gromacs.run_simulation");
    expect(await world.client.upload(id, INPUT)).toBe("submitted");
    expect(readFileSync(join(world.storeDir, "1", id, "input.zip"))).toEqual(INPUT);
    expect(await entries("gromacs_requests")).toContainEqual({
      id,
      task_dir: `1/${id}`,
      method: "md.gromacs.run_simulation",
      executer_type: "gromacs",
    });
    const types = (await world.events()).filter(({ json }) => json["id"] === id).map(({ type }) => type);
    expect(types).toEqual(["TaskCreated", "TaskInputUploaded"]);
  });

  test("every event that it writes is one that the contract knows", async () => {
    const ours = await world.events();
    expect(ours.length).toBeGreaterThan(0);
    for (const { type, json } of ours)
      expect(
        parseEvent({ type, json: JSON.stringify(json) }),
        `${type} ${JSON.stringify(json)}`,
      ).toBeDefined();
  });

  test("a second input is refused, and the first one stays", async () => {
    const id = await submitted();
    const before = readFileSync(join(world.storeDir, "1", id, "input.zip"));
    await expect(world.client.upload(id, packInput({ "other.txt": "x" }))).rejects.toThrow("409");
    expect(readFileSync(join(world.storeDir, "1", id, "input.zip"))).toEqual(before);
    expect((await entries("test_requests")).filter((entry) => entry["id"] === id)).toHaveLength(1);
  });

  test("a core function, which waits for exactly `started`, sees it though its task was over at once", async () => {
    const id = await submitted();
    await run(id, "success");
    expect(await world.client.status(id)).toBe("started");
    expect(await world.client.status(id)).toBe("success");
    expect(await world.client.status(id)).toBe("success");
    const another = await submitted();
    await world.event("TaskCompleted", { id: another, status: "failed", detail: "no such script" });
    await world.settled();
    expect(await world.client.waitAsCoreFunction(another)).toBe("failed");
  });

  test("one that was seen to run is told of its end at once", async () => {
    const id = await submitted();
    await world.event("TaskStarted", { id, status: "started", executer_id: EXECUTER });
    await world.settled();
    expect(await world.client.status(id)).toBe("started");
    await world.event("TaskCompleted", { id, status: "success" });
    await world.settled();
    expect(await world.client.status(id)).toBe("success");
  });

  test("a task that is over stays as it ended, whatever is said about it later", async () => {
    const id = await submitted();
    await run(id, "failed");
    await world.event("TaskKilled", { id, status: "killed" });
    await world.event("TaskCompleted", { id, status: "success" });
    await world.event("TaskStarted", { id, status: "started", executer_id: EXECUTER });
    await world.event("ExecuterTerminated", {
      uuid: EXECUTER,
      reason: "error",
      detail: "x",
      stopped_tasks: [id],
    });
    await world.settled();
    expect((await world.client.task(id)).status).toBe("failed");
  });

  test.each([
    ["interrupted", "executer-terminated"],
    ["preempted", "spot-instance-preempted"],
    ["error", "executer-failed"],
  ])("a host that ends as %s leaves its tasks %s", async (reason, status) => {
    const id = await submitted();
    await world.event("TaskStarted", { id, status: "started", executer_id: EXECUTER });
    await world.event("ExecuterTerminated", { uuid: EXECUTER, reason, detail: null, stopped_tasks: [id] });
    await world.settled();
    expect((await world.client.task(id)).status).toBe(status);
    expect(await world.client.wait(id)).toBe(status);
  });

  test("what is no event, or one of a later version, is passed over", async () => {
    const id = await submitted();
    await world.redis.ask("XADD", "events", "*", "type", "TaskPickedUp", "json", `{"id":"${id}"}`);
    await world.redis.ask("XADD", "events", "*", "type", "TaskCompleted", "json", "{broken");
    await world.redis.ask("XADD", "events", "*", "other", "fields");
    await run(id, "success");
    expect((await world.client.task(id)).status).toBe("success");
  });
});

describe("I15: kill through the API", () => {
  test("a task that waits for a host is killed at once, and no host will be given it", async () => {
    const id = await submitted();
    expect(await world.client.kill(id)).toBe("killed");
    expect((await entries("test_requests")).filter((entry) => entry["id"] === id)).toEqual([]);
    const ends = (await world.events()).filter(
      ({ type, json }) => json["id"] === id && type === "TaskKilled",
    );
    expect(ends).toHaveLength(1);
    expect(await world.client.status(id)).toBe("killed");
  });

  test("a task whose host was given it is asked for, and is over when the host says so", async () => {
    const id = await world.client.submit("windtunnel.openfoam.run_simulation");
    await world.redis.ask("XGROUP", "CREATE", "openfoam_requests", "all_consumers", "0", "MKSTREAM");
    await world.client.upload(id, INPUT);
    await world.redis.ask(
      "XREADGROUP",
      "GROUP",
      "all_consumers",
      "me",
      "COUNT",
      "9",
      "STREAMS",
      "openfoam_requests",
      ">",
    );
    expect(await world.client.kill(id)).toBe("pending-kill");
    expect(await world.redis.ask("LRANGE", `task:${id}:commands`, "0", "-1")).toEqual(["kill"]);
    expect(Number(await world.redis.ask("TTL", `task:${id}:commands`))).toBeGreaterThan(3600);
    expect((await world.events()).at(-1)).toMatchObject({
      type: "TaskKillRequested",
      json: { id, status: "pending-kill" },
    });
    await world.event("TaskStarted", { id, status: "started", executer_id: EXECUTER });
    await world.event("TaskKilled", { id, status: "killed" });
    await world.settled();
    expect(await world.client.status(id)).toBe("killed");
  });

  test("a task that has no input yet is killed, and takes none afterwards", async () => {
    const id = await world.client.submit("test.sleep");
    expect(await world.client.kill(id)).toBe("killed");
    await expect(world.client.upload(id, INPUT)).rejects.toThrow("409");
  });

  test("of a task that is over it changes nothing", async () => {
    const id = await submitted();
    await run(id, "success");
    const before = (await world.events()).length;
    expect(await world.client.kill(id)).toBe("success");
    expect(await world.events()).toHaveLength(before);
    expect(await world.redis.ask("EXISTS", `task:${id}:commands`)).toBe(0);
  });

  test("a body and a type that say nothing are no fault", async () => {
    const id = await submitted();
    const answer = await world.client.raw("POST", `/tasks/${id}/kill`, {
      "content-type": "application/json",
    });
    expect(json(answer, 200)).toEqual({ id, status: "killed" });
  });
});

describe("I15: outputs", () => {
  test("there is none until it is there, and then it is sent byte for byte", async () => {
    const id = await submitted();
    expect((await world.client.raw("GET", `/tasks/${id}/output`)).status).toBe(404);
    expect((await world.client.raw("GET", `/tasks/${id}/output/list`)).status).toBe(404);
    const zip = putOutput(id, { "output.json": "[3]", "artifacts/a.txt": "a" });
    expect(await world.client.output(id)).toEqual(zip);
  });

  test("a partial download has just those artifacts, at its root", async () => {
    const id = await submitted();
    putOutput(id, {
      "output.json": "[]",
      "artifacts/a.txt": "one",
      "artifacts/sub/b.txt": "two",
      "artifacts/c": "",
    });
    const { names, texts } = readOutput(await world.client.output(id, ["a.txt", "sub/b.txt"]));
    expect([...names].sort()).toEqual(["a.txt", "sub/b.txt"]);
    expect(texts).toEqual({ "a.txt": "one", "sub/b.txt": "two" });
    expect(readOutput(await world.client.output(id, ["artifacts/a.txt"])).names).toEqual(["a.txt"]);
    expect((await world.client.raw("GET", `/tasks/${id}/output?filename=none`)).status).toBe(404);
    expect((await world.client.raw("GET", `/tasks/${id}/output?filename=..%2Foutput.json`)).status).toBe(404);
  });

  test("the list has the size of the archive and its files", async () => {
    const id = await submitted();
    const zip = putOutput(id, { "output.json": "[]", "artifacts/a.txt": "x".repeat(1000) });
    const { size, contents } = await world.client.outputList(id);
    expect(size).toBe(zip.length);
    expect(contents).toContainEqual({ name: "output.json", size: 2, compressed_size: expect.any(Number) });
    expect(contents).toContainEqual({
      name: "artifacts/a.txt",
      size: 1000,
      compressed_size: expect.any(Number),
    });
  });
});

describe("I15: tasks and hosts", () => {
  test("a task shows its times with microseconds, and the host that ran it", async () => {
    const body = {
      create_time: "2023-08-04T15:02:12.123456+00:00",
      supported_executer_types: ["math", "test"],
      cpu_count_logical: 8,
      cpu_count_physical: 4,
      memory: 1024,
      cpu_info: "a CPU",
      host_info: {
        host_type: "gcloud",
        vm_type: "c2",
        vm_name: "one",
        vm_id: "1",
        preemptible: true,
        vm_metadata: {},
      },
    };
    // No key: hosts have none.
    const url = new URL("/executers/register", world.client.baseUrl);
    const answer = await send("POST", url, { "content-type": "application/json" }, JSON.stringify(body));
    const registration = json(answer, 202) as Record<string, string>;
    expect(registration).toMatchObject({
      redis_streams: ["math_requests", "test_requests"],
      redis_consumer_group: "all_consumers",
    });
    expect(registration["uuid"]).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    const groups = (await world.redis.ask("XINFO", "GROUPS", "math_requests")) as string[][];
    expect(groups[0]).toContain("all_consumers");
    const id = await submitted();
    await world.event("TaskStarted", { id, status: "started", executer_id: registration["uuid"] });
    await world.event("TaskCompleted", { id, status: "success" });
    await world.settled();
    const task = await world.client.task(id);
    expect(task.executer).toEqual({
      uuid: registration["uuid"],
      cpu_count_logical: 8,
      cpu_count_physical: 4,
      memory: 1024,
      host_type: "gcloud",
      vm_type: "c2",
      vm_name: "one",
    });
    for (const time of [task.create_time, task.input_submit_time, task.start_time, task.end_time])
      expect(time).toMatch(/\.\d{6}\+00:00$/);
  });

  test("lists are pages of the newest first, of one status if wished", async () => {
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) ids.unshift(await world.client.submit("math.sum"));
    expect((await world.client.tasks("?page=1&per_page=2")).map(({ task_id }) => task_id)).toEqual(
      ids.slice(0, 2),
    );
    expect((await world.client.tasks("?page=2&per_page=2"))[0]?.task_id).toBe(ids[2]);
    await world.client.kill(ids[1] ?? "");
    const killed = await world.client.tasks("?status=killed&per_page=100");
    expect(killed.map(({ task_id }) => task_id)).toContain(ids[1]);
    expect(new Set(killed.map(({ status }) => status))).toEqual(new Set(["killed"]));
    expect(await world.client.tasks("?page=1000")).toEqual([]);
  });

  test("I2: a pool's tasks go to a stream that only its hosts read", async () => {
    const { id: pool } = json(await world.client.raw("POST", "/executers/pools"), 201) as { id: string };
    const id = await world.client.submit("math.sum", {}, pool);
    await world.client.upload(id, INPUT);
    expect(await entries(`math_requests:${pool}`)).toMatchObject([{ id }]);
    const other = "00000000-0000-4000-8000-000000000000";
    await expect(world.client.submit("math.sum", {}, other)).rejects.toThrow("400");
  });
});

describe("I15: what is refused", () => {
  test("a request without the key, or with another one", async () => {
    const url = new URL("/tasks/submit", world.client.baseUrl);
    const body = '{"method": "math.sum", "params": {}}';
    expect((await send("POST", url, { "content-type": "application/json" }, body)).status).toBe(403);
    await expect(new Client2023(world.client.baseUrl, "12345").submit("math.sum")).rejects.toThrow("403");
    for (const [method, path] of [
      ["GET", "/tasks"],
      ["GET", "/tasks/x/status"],
      ["POST", "/executers/pools"],
      ["GET", "/nowhere"],
    ])
      expect((await send(method ?? "", new URL(path ?? "", world.client.baseUrl), {}, "")).status).toBe(403);
  });

  test("a known path says which methods it takes, an unknown one is a 404", async () => {
    const id = await world.client.submit("test.sleep");
    for (const [method, path, allow] of [
      ["PUT", "/tasks?x=1", "GET, HEAD"],
      ["DELETE", `/tasks/${id}`, "GET, HEAD"],
      ["GET", `/tasks/${id}/kill`, "POST"],
      ["OPTIONS", `/tasks/${id}/input`, "POST"],
    ] as const) {
      const { status, headers } = await world.client.raw(method, path);
      expect([status, headers.allow], `${method} ${path}`).toEqual([405, allow]);
    }
    expect((await world.client.raw("PUT", "/tasks/a/b/c")).status).toBe(404);
  });

  test("a name that somebody else may have pointed here is turned away, with the right key too", async () => {
    const asked = async (host: string): Promise<number> =>
      (await world.client.raw("GET", "/tasks", { host })).status;
    expect(await asked("evil.example:8000")).toBe(403);
    expect(await asked("localhost:8000")).toBe(200);
  });

  test("the input of a task that was killed is refused for that reason", async () => {
    const id = await world.client.submit("test.sleep");
    await world.client.kill(id);
    const form = 'multipart/form-data; boundary="b"';
    const answer = await world.client.raw("POST", `/tasks/${id}/input`, { "content-type": form }, "--b--");
    expect([answer.status, json(answer, 409)]).toEqual([409, { detail: "The task is over" }]);
  });

  test("an unknown method is a 400, an unknown task a 404", async () => {
    await expect(world.client.submit("no.such.method")).rejects.toThrow("400");
    await expect(world.client.submit("__proto__")).rejects.toThrow("400");
    for (const path of ["status", "output", "output/list"])
      expect((await world.client.raw("GET", `/tasks/nobody/${path}`)).status).toBe(404);
    expect((await world.client.raw("GET", "/tasks/nobody")).status).toBe(404);
    expect((await world.client.raw("POST", "/tasks/nobody/kill")).status).toBe(404);
    expect((await world.client.raw("GET", "/tasks/..%2F..%2Fetc/status")).status).toBe(404);
  });

  test.each([
    ["{}", "method", "value_error.missing"],
    ['{"method": 3, "params": {}}', "method", "type_error.string"],
    ['{"method": null, "params": {}}', "method", "type_error.none.not_allowed"],
    ['{"method": "math.sum"}', "params", "value_error.missing"],
    ['{"method": "math.sum", "params": {}, "resource_pool": "x"}', "resource_pool", "value_error"],
    ["{broken", undefined, "value_error.jsondecode"],
    ["", undefined, "value_error.missing"],
  ])("a body like %s is a 422 that names its field", async (body, field, type) => {
    const answer = await world.client.raw(
      "POST",
      "/tasks/submit",
      { "content-type": "application/json" },
      body,
    );
    const { detail } = json(answer, 422) as { detail: { loc: string[]; msg: string; type: string }[] };
    expect(detail[0]?.loc).toEqual(field === undefined ? ["body"] : ["body", field]);
    expect(detail[0]?.msg).toEqual(expect.any(String));
    expect(detail[0]?.type).toBe(type);
  });

  test("a host without `cpu_info`, or with one that is null, is told which field", async () => {
    const host = {
      create_time: "x",
      supported_executer_types: ["a"],
      cpu_count_logical: 1,
      cpu_count_physical: 1,
      memory: 1,
    };
    const answer = await world.client.raw(
      "POST",
      "/executers/register",
      { "content-type": "application/json" },
      JSON.stringify({ ...host, cpu_info: null, host_info: { host_type: "inductiva-hardware" } }),
    );
    expect(json(answer, 422)).toMatchObject({ detail: [{ loc: ["body", "cpu_info"] }] });
  });

  test("a type that would be a key of its own in Redis", async () => {
    const host = {
      create_time: "x",
      supported_executer_types: ["a b"],
      cpu_count_logical: 1,
      cpu_count_physical: 1,
      memory: 1,
      cpu_info: "",
    };
    const answer = await world.client.raw(
      "POST",
      "/executers/register",
      { "content-type": "application/json" },
      JSON.stringify({ ...host, host_info: { host_type: "inductiva-hardware" } }),
    );
    expect(json(answer, 422)).toMatchObject({ detail: [{ loc: ["body", "supported_executer_types", 0] }] });
  });
});

describe("I15: hostile uploads leave nothing, and the task still takes a good one", () => {
  const boundary = "xyz";
  const part = (name: string, bytes: string | Buffer): Buffer =>
    Buffer.concat([
      Buffer.from(
        `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="../../etc/x"\r\n\r\n`,
      ),
      Buffer.from(bytes),
      Buffer.from("\r\n"),
    ]);
  const end = Buffer.from(`--${boundary}--\r\n`);
  const many = Array.from({ length: 40 }, (_, at) => part(`f${at}`, "x"));

  test.each<[string, Buffer, number, string?]>([
    ["no form at all", Buffer.from("PK"), 422, "application/zip"],
    ["two files", Buffer.concat([part("file", "x"), part("file", "y"), end]), 422],
    [
      "two files, the second one long after the first",
      Buffer.concat([part("file", "x"), part("other", "x".repeat(900_000)), part("file", "y"), end]),
      422,
    ],
    ["a form without a boundary", Buffer.concat([part("file", "x"), end]), 422, "multipart/form-data"],
    ["another boundary", Buffer.concat([part("file", "x"), end]), 422, "multipart/form-data; boundary=other"],
    ["no part named file", Buffer.concat([part("archive", "x"), end]), 422],
    ["too many parts", Buffer.concat([...many, part("file", "x"), end]), 422],
    ["one that is cut in its file", part("file", "x".repeat(5000)).subarray(0, 2000), 422],
    ["one without its end", part("file", "x"), 422],
    ["a file above the limit", Buffer.concat([part("file", randomBytes(1_000_001)), end]), 413],
    [
      "a header without end",
      Buffer.from(`--${boundary}\r\nContent-Disposition: ${"x".repeat(200_000)}`),
      422,
    ],
    ["nothing", Buffer.alloc(0), 422],
  ])("%s", async (_, body, status, type = `multipart/form-data; boundary=${boundary}`) => {
    const id = await world.client.submit("test.sleep");
    const answer = await world.client.raw("POST", `/tasks/${id}/input`, { "content-type": type }, body);
    expect(answer.status, answer.body.toString()).toBe(status);
    expect(JSON.parse(answer.body.toString())).toHaveProperty("detail");
    expect(filesOf(id)).toEqual([]);
    expect(await world.client.status(id)).toBe("pending-input");
    expect(await world.client.upload(id, INPUT)).toBe("submitted");
  });

  test("one whose client goes away in the middle", async () => {
    const id = await world.client.submit("test.sleep");
    const { hostname, port } = new URL(world.client.baseUrl);
    const socket = connect(Number(port), hostname);
    const head = `POST /tasks/${id}/input HTTP/1.1\r\nHost: localhost\r\nX-API-Key: 1234\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: 100000\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), part("file", randomBytes(20_000))]));
    await poll("the file has begun", () => temporaryFilesOf(id).length > 0 || "nothing there");
    socket.destroy();
    await poll("nothing is left", () => temporaryFilesOf(id).length === 0 || "a file is there");
    expect(filesOf(id)).toEqual([]);
    expect(await world.client.upload(id, INPUT)).toBe("submitted");
  });

  test("a second one while the first arrives", async () => {
    const id = await world.client.submit("test.sleep");
    const { hostname, port } = new URL(world.client.baseUrl);
    const socket = connect(Number(port), hostname);
    const head = `POST /tasks/${id}/input HTTP/1.1\r\nHost: localhost\r\nX-API-Key: 1234\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: 100000\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), part("file", randomBytes(20_000))]));
    await poll("the file has begun", () => temporaryFilesOf(id).length > 0 || "nothing there");
    await expect(world.client.upload(id, INPUT)).rejects.toThrow("409");
    socket.destroy();
  });

  function temporaryFilesOf(id: string): string[] {
    try {
      return readdirSync(join(world.storeDir, "1", id));
    } catch {
      return [];
    }
  }

  function filesOf(id: string): string[] {
    return temporaryFilesOf(id);
  }
});

describe("I15: what outlives what", () => {
  test("tasks outlive the API, and what happened meanwhile is caught up with", async () => {
    const id = await submitted();
    await world.settled();
    const restarting = world.restart();
    await restarting;
    await run(id, "success");
    expect((await world.client.task(id)).status).toBe("success");
    expect(await world.client.waitAsCoreFunction(id)).toBe("success");
  });

  test("a Redis that is away refuses new tasks with a 503, and shows what is known", async () => {
    const id = await submitted();
    await world.redis.stop("SIGKILL");
    await expect(world.client.submit("math.sum")).rejects.toThrow("503");
    expect(await world.client.status(id)).toBe("submitted");
    await world.redis.start();
    await poll("tasks are taken again", async () => {
      const answer = await world.client.submit("math.sum").catch(String);
      return !answer.includes("503") || answer;
    });
    // It came back empty, so its events begin anew: those that come are heard all the same.
    await run(id, "success");
    expect((await world.client.task(id)).status).toBe("success");
  });
});

import { inspect } from "node:util";
import { expect, test, vi } from "vitest";
import { ExecutorError, Secret } from "../../src/core/index.ts";
import { openTestDoor } from "../support/open-test-door.ts";

const post = (url: string, body?: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { method: "POST", headers, ...(body === undefined ? {} : { body }) });

test("M18: stats have the contract's eleven figures in its units", async () => {
  await using door = await openTestDoor();
  door.executor.capacity = { cpuMillis: 4500, memoryBytes: 4096 * 1_048_576, gpuCount: 2 };
  door.executor.reserved = { cpuMillis: 1500, memoryBytes: 1024 * 1_048_576, gpuCount: 1 };
  const answer = await fetch(`${door.url}/stats`);
  expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
  expect(await answer.json()).toEqual({
    total_cpu: 8,
    total_mem: 8192,
    used_cpu: 12.35,
    used_mem: 50,
    task_cpu: 4.5,
    task_mem: 4096,
    task_used_cpu: 33.33,
    task_used_mem: 25,
    gpu_model: "",
    task_gpu: 2,
    task_used_gpu: 1,
  });
});

test("defect 7: task_used_gpu counts what is booked, not what is free", async () => {
  await using door = await openTestDoor();
  door.executor.capacity = { cpuMillis: 4000, memoryBytes: 4096 * 1_048_576, gpuCount: 4 };
  door.executor.reserved = { cpuMillis: 0, memoryBytes: 0, gpuCount: 1 };
  expect(await (await fetch(`${door.url}/stats`)).json()).toMatchObject({ task_gpu: 4, task_used_gpu: 1 });
});

test("M29: health is ok only while the engine answers, and says why not", async () => {
  await using door = await openTestDoor();
  const ok = await fetch(`${door.url}/health`);
  expect([ok.status, await ok.text()]).toEqual([200, '{"status":"ok"}']);
  await using sick = await openTestDoor();
  sick.executor.healthAnswer = { isHealthy: false, reason: "no socket" };
  const bad = await fetch(`${sick.url}/health`);
  expect(bad.status).toBe(503);
  expect(await bad.json()).toMatchObject({ code: "ENGINE_UNAVAILABLE", facts: { reason: "no socket" } });
  await using stuck = await openTestDoor();
  stuck.executor.healthAnswer = "hang";
  expect((await fetch(`${stuck.url}/health`)).status).toBe(503);
  await using ending = await openTestDoor();
  ending.executor.state = "draining";
  expect((await fetch(`${ending.url}/health`)).status).toBe(503);
});

test("defect 21: health says when the daemon is paused", async () => {
  await using door = await openTestDoor();
  for (const state of ["pausing", "paused"] as const) {
    door.executor.state = state;
    const answer = await fetch(`${door.url}/health`);
    expect([answer.status, await answer.text()]).toEqual([200, '{"status":"paused"}']);
  }
  door.executor.state = "running";
  expect(await (await fetch(`${door.url}/health`)).text()).toBe('{"status":"ok"}');
});

test("probes that come together ask the engine once", async () => {
  // They come together by the door's clock, however long this machine takes for them.
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    await using door = await openTestDoor();
    const probe = async (): Promise<string> => (await fetch(`${door.url}/health`)).text();
    const asked = (): number => door.executor.done.filter((what) => what === "health").length;
    await Promise.all(Array.from({ length: 20 }, probe));
    expect(asked()).toBe(1);
    vi.advanceTimersByTime(1000);
    await probe();
    expect(asked()).toBe(2);
  } finally {
    vi.useRealTimers();
  }
});

test("M14: pause answers with the number still running, stats fail as clients know it, unpause ends both", async () => {
  await using door = await openTestDoor();
  door.executor.running = 3;
  const paused = await post(`${door.url}/pause`);
  expect([paused.status, await paused.json()]).toEqual([
    200,
    { success: true, msg: "paused; calls still running: 3", running: 3 },
  ]);
  expect(await (await fetch(`${door.url}/stats`)).json()).toEqual({
    success: false,
    msg: "failed to retrieve resource stats",
  });
  expect(await (await post(`${door.url}/unpause`)).json()).toEqual({ success: true, msg: "unpaused" });
  expect(await (await fetch(`${door.url}/stats`)).json()).toHaveProperty("total_cpu");
});

test("defect 19: while a pause waits for a stuck call, stats and health answer and new calls are refused", async () => {
  await using door = await openTestDoor();
  let settle: () => void = () => undefined;
  door.executor.pause = () => {
    door.executor.state = "pausing";
    return new Promise((resolve) => {
      settle = () => resolve({ running: 1 });
    });
  };
  const pausing = post(`${door.url}/pause`);
  await expect.poll(() => door.executor.state).toBe("pausing");
  expect((await fetch(`${door.url}/stats`)).status).toBe(200);
  expect((await fetch(`${door.url}/v1/stats`)).status).toBe(200);
  expect((await fetch(`${door.url}/health`)).status).toBe(200);
  const refused = await post(`${door.url}/`, '{"id":"echo:1","input":"x"}');
  expect(await refused.json()).toEqual({ success: false, msg: "the executor is paused" });
  settle();
  expect(await (await pausing).json()).toMatchObject({ success: true, running: 1 });
});

test("M15: the documented body changes the settings while paused, and only then", async () => {
  await using door = await openTestDoor();
  const body =
    '{"timeout": 2, "cpu": 2, "mem": 2048, "has_gpu": false, "microVM_runtime": "kata", "type": "x"}';
  const refused = await post(`${door.url}/update-config`, body);
  expect(refused.status).toBe(200);
  expect(await refused.json()).toMatchObject({
    success: false,
    msg: expect.stringContaining("paused") as string,
  });
  expect(door.settings.get("cpu")).toBe(4);
  await post(`${door.url}/pause`);
  const done = await (await post(`${door.url}/update-config`, body)).json();
  expect(done).toEqual({
    success: true,
    msg: "configuration updated; the engine does not offer the runtime kata: microVM calls are refused until it does",
  });
  expect([...door.settings.values()]).toEqual([2, 2, 2048, false, "kata"]);
});

test("M15: what update-config leaves out keeps its value, and has_gpu may be a number", async () => {
  await using door = await openTestDoor();
  door.executor.state = "paused";
  await post(`${door.url}/update-config`, '{"cpu": 3, "mem": 100, "has_gpu": 1}');
  expect([...door.settings.values()]).toEqual([1, 3, 100, true, ""]);
});

test.each([
  ['{"cpu": -1, "mem": 1}', "cpu"],
  ['{"cpu": 1, "mem": 1.5}', "mem"],
  ['{"cpu": "1", "mem": 1}', "cpu"],
  ['{"cpu": 1, "mem": 1, "timeout": 0}', "timeout"],
  ['{"cpu": 1, "mem": 1, "microVM_runtime": "a b"}', "microVM_runtime"],
  ['{"cpu": 65, "mem": 1}', "cpu"],
  ['{"cpu": 1, "me', "JSON"],
  ["[]", "object"],
  ["", "empty"],
])("E4: update-config with %s is a 400 that says why, and changes nothing", async (body, word) => {
  await using door = await openTestDoor();
  door.executor.state = "paused";
  const before = [...door.settings];
  const answer = await post(`${door.url}/update-config`, body);
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ success: false, msg: expect.stringContaining(word) as string });
  expect([...door.settings]).toEqual(before);
});

test("M29: stop answers with JSON, and then the daemon is told to end, once", async () => {
  await using door = await openTestDoor();
  const answer = await post(`${door.url}/stop`);
  expect([answer.status, await answer.json()]).toEqual([200, { success: true, msg: "stopping" }]);
  await expect.poll(() => door.stops).toBe(1);
  await (await post(`${door.url}/stop`)).text();
  // Another request: what the second stop would have done is done by then.
  await (await fetch(`${door.url}/v1/host`)).text();
  expect(door.stops).toBe(1);
});

test("routes without a body take requests with any type and none", async () => {
  await using door = await openTestDoor();
  for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"]) {
    expect((await post(`${door.url}/pause`, undefined, { "content-type": type })).status).toBe(200);
    expect((await post(`${door.url}/unpause`, "", { "content-type": type })).status).toBe(200);
  }
});

test("POST / takes JSON under whatever type it comes", async () => {
  await using door = await openTestDoor();
  for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded"]) {
    const answer = await post(`${door.url}/`, '{"id":"echo:1","input":"hi"}', { "content-type": type });
    expect([answer.status, await answer.text()]).toEqual([
      200,
      '{\n    "success": true,\n    "msg": "hi"\n}',
    ]);
  }
});

test("every control action leaves one line that says who and what", async () => {
  await using door = await openTestDoor();
  await post(`${door.url}/pause`);
  await post(`${door.url}/update-config`, '{"cpu": 1, "mem": 1}');
  await post(`${door.url}/unpause`);
  await post(`${door.url}/stop`);
  const lines = door.log.filter(({ event }) => event === "control.used").map(({ fields }) => fields);
  expect(lines.map(({ action }) => action as string)).toEqual(["pause", "config", "unpause", "stop"]);
  expect(lines.every(({ peer, requestId }) => peer === "127.0.0.1" && typeof requestId === "string")).toBe(
    true,
  );
});

test("defect 18: no input, answer or token reaches a log line, whatever becomes of the request", async () => {
  const canary = "canary-5f4dcc3b";
  const tokens = [{ name: "ops", token: new Secret(canary), scopes: ["run", "read", "control"] as const }];
  await using door = await openTestDoor({ tokens });
  const authorization = { authorization: `Bearer ${canary}` };
  const call = JSON.stringify({ id: "echo:1", input: canary });
  const answer = await post(`${door.url}/`, call, authorization);
  expect(await answer.text()).toContain(canary);
  const bodies = [call, `{"id":"a","input":"${canary}`, JSON.stringify({ id: "a", resource: canary })];
  for (const script of ["answer", "fail", "break"] as const) {
    door.executor.script = (one) => {
      if (script === "answer") one.answer(canary, 500);
      else if (script === "fail") one.fail(new ExecutorError("TASK_EXITED"));
      else one.fail(new TypeError("not of ours"));
    };
    for (const path of ["/", "/v1/calls?image=a", "/update-config", "/v1/nothing"]) {
      for (const body of bodies) await (await post(`${door.url}${path}`, body, authorization)).text();
    }
  }
  expect(door.log.length).toBeGreaterThan(0);
  expect(inspect(door.log, { depth: 9 })).not.toContain(canary);
});

import { expect, test } from "vitest";
import { HearthClient } from "../../src/client/index.ts";
import { ExecutorError } from "../../src/core/index.ts";
import type { FakeCall } from "../support/fake-executor.ts";
import { fakeSession } from "../support/fake-executor.ts";
import { openTestDoor } from "../support/open-test-door.ts";

/** Bytes that no text survives. */
const EVIDENCE = Buffer.from([0, 255, 254, 10, 13, 128]);

/** Answers as an enclave's server that a session was opened with. */
function attested(call: FakeCall, status = 200): void {
  call.sink.onSession?.(fakeSession("the-id"));
  call.answer(EVIDENCE, status, "application/x-quote");
}

test("M22: /v1/attest asks for the evidence and passes it on with a session", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => attested(call);
  const answer = await fetch(`${door.url}/v1/attest?image=enclave&mem=64`, { method: "POST" });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("hearth-session")).toBe("the-id");
  expect(answer.headers.get("hearth-session-expires-ms")).toBe("1000");
  expect(answer.headers.get("content-type")).toBe("application/x-quote");
  expect(Buffer.from(await answer.arrayBuffer())).toEqual(EVIDENCE);
  const [call] = door.executor.calls;
  expect(call?.task).toMatchObject({ image: "enclave", sgx: true, isolation: "default" });
  expect(call?.request).toMatchObject({ method: "GET", path: "/ra", contentType: "" });
  expect(call?.request.body).toHaveLength(0);
  expect(call?.options).toMatchObject({ session: { type: "open" } });
});

test("where JSON is asked for, evidence of any bytes survives in it", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => attested(call);
  const headers = { accept: "application/json" };
  const answer = await fetch(`${door.url}/v1/attest?image=enclave`, { method: "POST", headers });
  expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
  expect(answer.headers.get("hearth-session")).toBe("the-id");
  expect(await answer.json()).toEqual({
    session: expect.objectContaining({ id: "the-id", expiresInMs: 1000 }) as unknown,
    evidence: { contentType: "application/x-quote", base64: EVIDENCE.toString("base64") },
  });
});

test.each(["application/json", "*/*"])(
  "a task that gives no evidence opens no session (%s)",
  async (accept) => {
    await using door = await openTestDoor();
    door.executor.script = (call) => attested(call, 503);
    const answer = await fetch(`${door.url}/v1/attest?image=enclave`, {
      method: "POST",
      headers: { accept },
    });
    expect([answer.status, answer.headers.get("hearth-outcome")]).toEqual([503, "failure"]);
    expect(answer.headers.get("hearth-session")).toBeNull();
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(EVIDENCE);
  },
);

test("evidence without an end is cut off where it is gathered", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => {
    call.place();
    call.head();
    for (let n = 0; n < 40 && !call.isCancelled; n += 1) call.data(Buffer.alloc(65_536));
  };
  const headers = { accept: "application/json" };
  const answer = await fetch(`${door.url}/v1/attest?image=enclave`, { method: "POST", headers });
  expect(await answer.json()).toMatchObject({ code: "ANSWER_TOO_LARGE" });
  expect(door.executor.calls[0]?.isCancelled).toBe(true);
});

test("an error of ours on the way to the evidence is a problem", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) =>
    call.fail(new ExecutorError("SGX_UNAVAILABLE", { reason: "sgx.enable is off" }));
  for (const accept of ["application/json", "*/*"]) {
    const answer = await fetch(`${door.url}/v1/attest?image=enclave`, {
      method: "POST",
      headers: { accept },
    });
    expect(answer.status).toBe(422);
    expect(await answer.json()).toMatchObject({ code: "SGX_UNAVAILABLE" });
  }
});

test("a call in a session is for the session's task and says so to the executor", async () => {
  await using door = await openTestDoor();
  const sgx = { ...fakeSession("x").task, image: "enclave", sgx: true };
  door.executor.sessionList = [fakeSession("known", { task: sgx })];
  const post = (query: string, more: RequestInit = {}): Promise<Response> =>
    fetch(`${door.url}/v1/calls?${query}`, { method: "POST", body: "{}", ...more });
  expect((await post("session=known")).status).toBe(200);
  expect((await post("session=known&image=enclave")).status).toBe(200);
  for (const call of door.executor.calls) {
    expect(call.task).toEqual(sgx);
    expect(call.options).toMatchObject({ session: { type: "join", sessionId: "known" } });
    expect(call.request).toMatchObject({ method: "POST", path: "/run" });
  }
  // What is said otherwise goes to the executor as it was said, which refuses it.
  await post("session=known&image=other&cpu=2");
  expect(door.executor.calls[2]?.task).toMatchObject({ image: "other", resources: { cpuMillis: 2000 } });
  expect((await post("session=gone")).status).toBe(404);
  expect(await (await post("session=gone")).json()).toMatchObject({ code: "SESSION_NOT_FOUND" });
  expect(await (await post("session=new")).json()).toMatchObject({
    code: "INPUT_INVALID",
    facts: { field: "image" },
  });
  expect(door.executor.calls).toHaveLength(3);
});

test("any call may open a session; one that is recorded may only run in one", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => attested(call);
  const url = `${door.url}/v1/calls?image=a&session=new`;
  const answer = await fetch(url, { method: "POST" });
  expect(answer.headers.get("hearth-session")).toBe("the-id");
  const recorded = [{ prefer: "respond-async" }, { "idempotency-key": "k" }] as Record<string, string>[];
  for (const headers of recorded) {
    const refused = await fetch(url, { method: "POST", headers });
    expect(await refused.json()).toMatchObject({ code: "INPUT_INVALID", facts: { field: "session" } });
  }
  door.executor.sessionList = [fakeSession("known")];
  const run = await fetch(`${door.url}/v1/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ session: "known", input: { n: 1 } }),
  });
  expect(run.status).toBe(202);
  expect(door.executor.calls.at(-1)?.options).toMatchObject({ session: { sessionId: "known" } });
});

test("M21, M22: an SGX task gets its input at /run and is asked for its evidence by the word for it", async () => {
  await using door = await openTestDoor();
  const post = (query: string, body: string): Promise<Response> =>
    fetch(`${door.url}/v1/calls?image=a&${query}`, { method: "POST", body });
  await post("sgx=true", "SGXRAREQUEST");
  await post("isolation=sgx", "SGXRAREQUEST ");
  await post("sgx=true&path=/own", "SGXRAREQUEST");
  await post("cpu=1", "SGXRAREQUEST");
  const seen = door.executor.calls.map(({ request, task, options }) => [
    request.method,
    request.path,
    task.sgx,
    task.isolation,
    options.session?.type,
  ]);
  expect(seen).toEqual([
    ["GET", "/ra", true, "default", "hold"],
    ["POST", "/run", true, "default", undefined],
    ["POST", "/own", true, "default", undefined],
    ["POST", "/", false, "default", undefined],
  ]);
});

test("M22: the legacy door asks for evidence without a body, on both of its paths, and has the server kept", async () => {
  await using door = await openTestDoor();
  const body = JSON.stringify({ id: "enclave", use_sgx: true, input: "SGXRAREQUEST" });
  // One of a known length goes the fast path, one in pieces goes by node:http.
  await fetch(door.url, { method: "POST", body });
  await fetch(door.url, { method: "POST", body: new Blob([body]).stream(), duplex: "half" });
  await fetch(door.url, {
    method: "POST",
    body: JSON.stringify({ id: "enclave", runtime: "sgx", input: "x" }),
  });
  const seen = door.executor.calls.map(({ request, options }) => [
    request.method,
    request.path,
    (request.body as Uint8Array).length,
    options.session?.type,
  ]);
  expect(seen).toEqual([
    ["GET", "/ra", 0, "hold"],
    ["GET", "/ra", 0, "hold"],
    ["POST", "/run", 1, undefined],
  ]);
});

test("the client attests, calls in its session and ends it", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => attested(call);
  door.executor.sessionList = [fakeSession("the-id")];
  const client = new HearthClient({ baseUrl: door.url });
  const { session, evidence, contentType } = await client.attest({ image: "enclave", mem: 64 });
  expect([session.id, Buffer.from(evidence), contentType]).toEqual([
    "the-id",
    EVIDENCE,
    "application/x-quote",
  ]);
  await client.call({ session: session.id, input: "{}" });
  expect(door.executor.calls[1]?.options).toMatchObject({ session: { sessionId: "the-id" } });
  expect((await client.call({ image: "a", session: "new" })).sessionId).toBe("the-id");
  expect(await client.session("the-id")).toMatchObject({ id: "the-id" });
  await client.endSession("the-id");
  expect((await client.sessions()).sessions).toEqual([]);
  door.executor.script = (call) => attested(call, 503);
  await expect(client.attest({ image: "enclave" })).rejects.toMatchObject({
    code: "UNEXPECTED",
    status: 503,
  });
});

test("a list of sessions shows what they keep and never an id", async () => {
  await using door = await openTestDoor();
  door.executor.sessionList = [fakeSession("0123456789abcdef"), fakeSession(undefined)];
  const text = await (await fetch(`${door.url}/v1/sessions`)).text();
  expect(text).not.toContain("0123456789abcdef");
  expect(JSON.parse(text)).toMatchObject({ sessions: [{ ref: "012345", isHold: false }, { isHold: true }] });
  const url = `${door.url}/v1/sessions/0123456789abcdef`;
  expect(await (await fetch(url)).json()).toMatchObject({ id: "0123456789abcdef", image: "echo:1" });
  expect((await fetch(url, { method: "DELETE" })).status).toBe(204);
  expect((await fetch(url)).status).toBe(404);
});

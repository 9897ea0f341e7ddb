import { request } from "node:http";
import { expect, test } from "vitest";
import { Secret } from "../../src/core/index.ts";
import type { TestDoor } from "../support/open-test-door.ts";
import { openTestDoor } from "../support/open-test-door.ts";

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
}

/** `fetch` may not set `Host` and `Origin` freely. */
function send(
  door: TestDoor,
  path: string,
  {
    method = "GET",
    headers = {},
    body = "",
  }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: "127.0.0.1", port: door.port, path, method, headers, agent: false },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function codeOf({ text }: Answer): string {
  return (JSON.parse(text) as { code: string }).code;
}

test.each([
  ["127.0.0.1:2591", 200],
  ["172.18.0.255", 200],
  ["[::1]:2591", 200],
  ["localhost:2591", 200],
  ["LOCALHOST.", 200],
  ["hearth.example:2591", 200],
  ["evil.example", 403],
  ["127.0.0.1.evil.example", 403],
  ["hearth.example.evil", 403],
  ["a b", 403],
])("B8: Host %s answers %d", async (host, status) => {
  await using door = await openTestDoor({ hostNames: ["Hearth.example"] });
  const answer = await send(door, "/stats", { headers: { host } });
  expect(answer.status).toBe(status);
  if (status === 403) expect(codeOf(answer)).toBe("HOST_FORBIDDEN");
});

test.each([
  ["a foreign origin", { origin: "https://evil.example" }],
  ["a sandboxed page", { origin: "null" }],
  ["another port of this host", { origin: "http://127.0.0.1:1" }],
  ["a cross-site fetch", { "sec-fetch-site": "cross-site" }],
  ["a same-site fetch", { "sec-fetch-site": "same-site" }],
  ["a form without an origin", { referer: "http://evil.example/", "content-type": "text/plain" }],
])("B8: %s is refused and changes nothing", async (_, headers) => {
  await using door = await openTestDoor();
  for (const path of ["/pause", "/update-config", "/stop", "/", "/v1/pause"]) {
    const answer = await send(door, path, {
      method: "POST",
      headers: { "content-type": "text/plain", ...headers },
      body: '{"id":"a"}',
    });
    expect([answer.status, codeOf(answer)]).toEqual([403, "ORIGIN_FORBIDDEN"]);
  }
  expect([door.executor.state, door.executor.calls, door.stops]).toEqual(["running", [], 0]);
});

test("a page of our own origin and a configured one may use the API, and the latter may ask first", async () => {
  await using door = await openTestDoor({ allowedOrigins: ["https://console.example"] });
  const host = `127.0.0.1:${door.port}`;
  expect((await send(door, "/v1/host", { headers: { host, origin: `http://${host}` } })).status).toBe(200);
  const origin = "https://console.example";
  const asked = await send(door, "/v1/pause", {
    method: "OPTIONS",
    headers: { host, origin, "access-control-request-method": "POST" },
  });
  expect(asked.status).toBe(204);
  expect(asked.headers["access-control-allow-origin"]).toBe(origin);
  expect(asked.headers["access-control-allow-methods"]).toBe("POST");
  const used = await send(door, "/v1/host", { headers: { host, origin, "sec-fetch-site": "cross-site" } });
  expect([used.status, used.headers["access-control-allow-origin"]]).toEqual([200, origin]);
});

test("what curl and Node's fetch send by themselves passes", async () => {
  await using door = await openTestDoor();
  const headers = {
    "content-type": "application/x-www-form-urlencoded",
    "user-agent": "curl/7.88",
    accept: "*/*",
  };
  expect((await send(door, "/", { method: "POST", headers, body: '{"id":"a:1"}' })).status).toBe(200);
  expect((await fetch(`${door.url}/`, { method: "POST", body: '{"id":"a:1"}' })).status).toBe(200);
});

test("a connection from a task is answered 403 whatever it asks", async () => {
  await using door = await openTestDoor({
    isTaskAddress: ({ remoteAddress }) => remoteAddress === "127.0.0.1",
  });
  for (const [method, path] of [
    ["GET", "/stats"],
    ["POST", "/"],
    ["POST", "/stop"],
    ["GET", "/v1/nothing"],
  ] as const) {
    const answer = await send(door, path, { method, headers: { "content-type": "application/json" } });
    expect([answer.status, codeOf(answer)]).toEqual([403, "SOURCE_FORBIDDEN"]);
    expect(answer.headers["connection"]).toBe("close");
  }
  expect(door.stops).toBe(0);
});

test("once there are tokens each request needs one with a fitting scope", async () => {
  await using door = await openTestDoor({
    tokens: [
      { name: "ops", token: new Secret("all"), scopes: ["run", "control", "read"] },
      { name: "caller", token: new Secret("only-run"), scopes: ["run"] },
      { name: "watcher", token: new Secret("only-read"), scopes: ["read"] },
    ],
  });
  const as = async (token: string | undefined, method: string, path: string): Promise<number> => {
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const headers = { "content-type": "application/json", ...authorization };
    return (await send(door, path, { method, headers, body: method === "POST" ? '{"id":"a:1"}' : "" }))
      .status;
  };
  const table: [string, string, number, number, number][] = [
    ["GET", "/health", 200, 200, 200],
    ["GET", "/openapi.json", 200, 200, 200],
    ["POST", "/", 200, 200, 403],
    ["POST", "/v1/calls?image=a", 200, 200, 403],
    ["GET", "/stats", 200, 403, 200],
    ["GET", "/v1/runs", 200, 200, 200],
    ["GET", "/v1/sandboxes", 200, 403, 200],
    ["POST", "/pause", 200, 403, 403],
    ["POST", "/v1/unpause", 200, 403, 403],
    ["POST", "/stop", 200, 403, 403],
  ];
  for (const [method, path, ops, caller, watcher] of table) {
    const open = path === "/health" || path === "/openapi.json";
    expect(await as(undefined, method, path), `${path} without a token`).toBe(open ? 200 : 401);
    expect(await as("wrong", method, path), `${path} with a wrong token`).toBe(open ? 200 : 401);
    expect(await as("only-run", method, path), `${path} as caller`).toBe(caller);
    expect(await as("only-read", method, path), `${path} as watcher`).toBe(watcher);
    expect(await as("all", method, path), `${path} as ops`).toBe(ops);
  }
  const refused = await send(door, "/stats");
  expect(refused.headers["www-authenticate"]).toMatch(/^Bearer/);
  expect(door.log.find(({ fields }) => fields["action"] === "pause")?.fields["token"]).toBe("ops");
  expect(JSON.stringify(door.log)).not.toContain("only-run");
});

test("B4: compressed bodies are refused", async () => {
  await using door = await openTestDoor();
  for (const path of ["/", "/v1/calls?image=a", "/update-config"]) {
    const answer = await send(door, path, {
      method: "POST",
      headers: { "content-encoding": "gzip" },
      body: "x",
    });
    expect([answer.status, codeOf(answer)]).toEqual([415, "ENCODING_UNSUPPORTED"]);
  }
});

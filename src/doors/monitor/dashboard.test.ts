import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Dashboard } from "./dashboard.ts";
import { openDashboard } from "./dashboard.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-page-"));
  mkdirSync(join(folder, "assets"));
  for (const [name, text] of Object.entries({
    "index.html": "<!doctype html>",
    "assets/a-1.js": "1;".repeat(500),
    "notes.txt": "not a part of the page",
  })) {
    writeFileSync(join(folder, name), text);
    writeFileSync(join(folder, `${name}.gz`), gzipSync(text));
  }
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A server of these pages; what is none of them is 404. */
async function serve(dashboard: Dashboard): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    if (dashboard.answer(request, response)) return;
    response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

test("the page comes under a policy that allows its own files and nothing else", async () => {
  await using server = await serve(openDashboard(folder));
  const answer = await fetch(`${server.url}/?from=anywhere`);
  expect(await answer.text()).toBe("<!doctype html>");
  expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(answer.headers.get("cache-control")).toBe("no-cache");
  const policy = (answer.headers.get("content-security-policy") ?? "").split("; ");
  expect(policy).toEqual([
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]);
});

test("files whose name changes with their content are kept for ever, and travel compressed where that is understood", async () => {
  await using server = await serve(openDashboard(folder));
  const zipped = await fetch(`${server.url}/assets/a-1.js`, { headers: { "accept-encoding": "gzip" } });
  expect(zipped.headers.get("cache-control")).toContain("immutable");
  expect(zipped.headers.get("content-encoding")).toBe("gzip");
  expect(Number(zipped.headers.get("content-length"))).toBe(gzipSync("1;".repeat(500)).length);
  expect(await zipped.text()).toBe("1;".repeat(500));
  const plain = await fetch(`${server.url}/assets/a-1.js`, { headers: { "accept-encoding": "identity" } });
  expect(plain.headers.get("content-encoding")).toBeNull();
  expect(gunzipSync(gzipSync(await plain.text())).toString()).toBe("1;".repeat(500));
  const head = await fetch(`${server.url}/assets/a-1.js`, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
});

test.each([
  "/notes.txt",
  "/index.html.gz",
  "/assets/",
  "/assets/../notes.txt",
  "/assets/%2e%2e/notes.txt",
  "/../../../etc/passwd",
  "/v1/host",
])("%s is none of its files", async (path) => {
  await using server = await serve(openDashboard(folder));
  expect((await fetch(`${server.url}${path}`)).status).toBe(404);
});

test("it is only read", async () => {
  await using server = await serve(openDashboard(folder));
  expect((await fetch(server.url, { method: "POST", body: "{}" })).status).toBe(404);
});

test("sources that were never built have no page, and no fault", async () => {
  await using server = await serve(openDashboard(join(folder, "missing")));
  expect((await fetch(server.url)).status).toBe(404);
});

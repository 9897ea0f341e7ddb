import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Dashboard } from "./dashboard.ts";
import { openDashboard } from "./dashboard.ts";

const SCRIPT = 'document.title = "ok";';
const STYLE = "main{color:red}";
const PAGE = `<!doctype html><head><script type="module">${SCRIPT}</script><style>${STYLE}</style></head>${" ".repeat(500)}`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-page-"));
  for (const [name, text] of Object.entries({ "index.html": PAGE, "notes.txt": "not the page" })) {
    writeFileSync(join(folder, name), text);
    writeFileSync(join(folder, `${name}.gz`), gzipSync(text));
  }
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A server of this page; what is not the page is 404. */
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

test("the page comes under a policy that allows what it holds itself and nothing else", async () => {
  await using server = await serve(openDashboard(folder));
  const answer = await fetch(`${server.url}/?from=anywhere`);
  expect(await answer.text()).toBe(PAGE);
  expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
  const policy = (answer.headers.get("content-security-policy") ?? "").split("; ");
  const hash = (text: string): string => createHash("sha256").update(text).digest("base64");
  expect(policy).toEqual([
    "default-src 'none'",
    `script-src 'sha256-${hash(SCRIPT)}'`,
    `style-src 'sha256-${hash(STYLE)}'`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]);
});

test("it travels compressed where that is understood", async () => {
  await using server = await serve(openDashboard(folder));
  const zipped = await fetch(server.url, { headers: { "accept-encoding": "gzip" } });
  expect(zipped.headers.get("content-encoding")).toBe("gzip");
  expect(Number(zipped.headers.get("content-length"))).toBe(gzipSync(PAGE).length);
  expect(await zipped.text()).toBe(PAGE);
  const plain = await fetch(server.url, { headers: { "accept-encoding": "identity" } });
  expect(plain.headers.get("content-encoding")).toBeNull();
  expect(await plain.text()).toBe(PAGE);
  const head = await fetch(server.url, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
});

test("it is asked for each time, and not sent again to a browser that has it", async () => {
  await using server = await serve(openDashboard(folder));
  const ask = async (encoding: string, etag: string): Promise<Response> =>
    await fetch(server.url, { headers: { "accept-encoding": encoding, "if-none-match": etag } });
  for (const encoding of ["gzip", "identity"]) {
    const first = await ask(encoding, '"another"');
    expect([first.status, first.headers.get("cache-control")]).toEqual([200, "no-cache"]);
    const etag = first.headers.get("etag") ?? "";
    const again = await ask(encoding, etag);
    expect([again.status, await again.text()]).toEqual([304, ""]);
    expect(again.headers.get("etag")).toBe(etag);
    expect((await ask(encoding, `"another", W/${etag}`)).status).toBe(304);
    // The other form of it is another body.
    expect((await ask(encoding === "gzip" ? "identity" : "gzip", etag)).status).toBe(200);
  }
});

test.each(["/notes.txt", "/index.html.gz", "/index.html/", "/../../../etc/passwd", "/v1/host"])(
  "%s is not the page",
  async (path) => {
    await using server = await serve(openDashboard(folder));
    expect((await fetch(`${server.url}${path}`)).status).toBe(404);
  },
);

test("it is only read", async () => {
  await using server = await serve(openDashboard(folder));
  expect((await fetch(server.url, { method: "POST", body: "{}" })).status).toBe(404);
});

test("sources that were never built have no page, and no fault", async () => {
  await using server = await serve(openDashboard(join(folder, "missing")));
  expect((await fetch(server.url)).status).toBe(404);
});

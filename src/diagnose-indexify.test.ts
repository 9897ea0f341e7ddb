import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadConfig } from "./config/index.ts";
import { indexifyFindings } from "./diagnose-indexify.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-doctor-indexify-"));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

function config(settings: Readonly<Record<string, string>>) {
  const named = Object.entries(settings).map(([name, value]) => [`HEARTH_INDEXIFY_${name}`, value]);
  const { loaded } = loadConfig({
    env: { HOME: folder, ...Object.fromEntries(named) },
    cwd: "/",
    isRoot: false,
  });
  if (loaded === undefined) throw new Error("the settings are wrong");
  return loaded.config;
}

test("a door that stays shut is not spoken of", async () => {
  expect(await indexifyFindings(config({}), { hasContainers: true, env: {} })).toEqual([]);
});

test("X13: what is missing is named with what it takes away, and with what to do", async () => {
  // It keeps its port, so that nobody else comes to listen there; at the other address nobody does.
  const elsewhere = createServer().listen(0, "127.0.0.1");
  await once(elsewhere, "listening");
  const { port } = elsewhere.address() as AddressInfo;
  const settings = config({ SERVER_ADDR: `http://127.0.0.2:${port}` });
  const plain = await indexifyFindings(settings, {
    hasContainers: false,
    env: { HOME: folder, PATH: folder },
  });
  expect(plain).toMatchObject([
    { state: "missing", text: expect.stringContaining("ECONNREFUSED") },
    { state: "missing", advice: expect.stringContaining("pip install tensorlake==0.4.0") },
    { area: "isolate", state: "limited", text: expect.stringContaining("without walls") },
    { state: "limited", text: expect.stringContaining("s3:// blobs fail") },
  ]);
  const contained = await indexifyFindings(settings, { hasContainers: true, env: { HOME: folder } });
  expect(contained.filter(({ area }) => area === "isolate")).toEqual([]);
  const [, image] = contained;
  expect(image).toMatchObject({ state: "missing", advice: expect.stringContaining("indexify.image") });
  elsewhere.close();
});

test("what is there is told as it is found", async () => {
  const program = join(folder, "function-executor");
  await writeFile(program, "#!/bin/sh\n");
  await chmod(program, 0o755);
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { port } = server.address() as AddressInfo;
    const found = await indexifyFindings(config({ SERVER_ADDR: `http://127.0.0.1:${port}` }), {
      hasContainers: false,
      env: { HOME: folder, PATH: folder, AWS_ACCESS_KEY_ID: "id" },
    });
    expect(found.map(({ state }) => state)).toEqual(["ok", "ok", "limited", "ok"]);
    expect(found[1]?.text).toContain(program);
  } finally {
    server.close();
  }
});

test.each([
  ["0.4.0", { state: "ok", text: expect.stringContaining("(tensorlake 0.4.0)") }],
  [
    "0.5.162",
    { state: "missing", text: expect.stringContaining("tensorlake 0.5.162, which speaks another") },
  ],
])("the release of the worker's program is found beside it: %s", async (version, finding) => {
  const program = join(folder, "bin", "function-executor");
  await mkdir(join(folder, "bin"));
  await mkdir(join(folder, "lib", "python3.11", "site-packages", `tensorlake-${version}.dist-info`), {
    recursive: true,
  });
  await writeFile(program, "#!/bin/sh\n", { mode: 0o755 });
  const [, found] = await indexifyFindings(
    config({ SERVER_ADDR: "http://127.0.0.1:1", FUNCTION_EXECUTOR: program }),
    { hasContainers: false, env: { HOME: folder } },
  );
  expect(found).toMatchObject(finding);
});

test("files of TLS that cannot be read end every start, and are said to", async () => {
  const [finding] = await indexifyFindings(config({ SERVER_ADDR: "https://a:1", TLS_CA: "/none/ca" }), {
    hasContainers: false,
    env: {},
  });
  expect(finding).toMatchObject({ state: "broken", text: expect.stringContaining("/none/ca") });
});

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Config } from "./config/index.ts";
import { loadConfig } from "./config/index.ts";
import type { Log } from "./core/index.ts";
import { bindsOf, executorIdOf, labelsOf, overridesOf, readServerChannel } from "./open-indexify-inputs.ts";
import { silentLog } from "./telemetry/silent-log.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-inputs-"));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

function indexify(env: Readonly<Record<string, string>>): Config["indexify"] {
  const named = Object.entries(env).map(([name, value]) => [`HEARTH_INDEXIFY_${name}`, value]);
  const { loaded } = loadConfig({
    env: { HOME: "/nobody", ...Object.fromEntries(named) },
    cwd: "/",
    isRoot: false,
  });
  if (loaded === undefined) throw new Error("the settings are wrong");
  return loaded.config.indexify;
}

test("an executor's id is made once and kept; the operator's own is stronger", async () => {
  const file = join(folder, "id");
  const said: unknown[] = [];
  const log: Log = { ...silentLog, log: (...line) => said.push(line) };
  const made = await executorIdOf(indexify({}), file, log);
  expect(made).toMatch(/^[0-9a-f-]{36}$/);
  expect(await executorIdOf(indexify({}), file, log)).toBe(made);
  expect(await executorIdOf(indexify({ EXECUTOR_ID: "mine" }), file, log)).toBe("mine");
  expect(said).toEqual([]);
  await writeFile(file, "half a na");
  const anew = await executorIdOf(indexify({}), file, log);
  expect(said).toEqual([["warn", "indexify.id-replaced", { file, executorId: anew }]]);
  expect(anew).not.toBe(made);
  expect((await readFile(file, "utf8")).trim()).toBe(anew);
});

test("the scheme turns TLS on; a name and trust of the system's need no file", async () => {
  const plain = await readServerChannel(indexify({ SERVER_ADDR: "http://localhost:8901/" }));
  expect([plain.address, plain.tls, plain.renewTls]).toEqual(["localhost:8901", undefined, undefined]);
  const safe = await readServerChannel(indexify({ SERVER_ADDR: "https://[::1]:443", TLS_NAME: "x" }));
  expect(safe.address).toBe("[::1]:443");
  expect(safe.tls).toEqual({ ca: undefined, cert: undefined, key: undefined, serverName: "x" });
});

test("a file of TLS that cannot be read, or a certificate without its key, ends the start", async () => {
  const address = { SERVER_ADDR: "https://a:1" };
  await expect(readServerChannel(indexify({ ...address, TLS_CA: "/none/ca" }))).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    facts: { field: "indexify.tls.ca" },
  });
  await expect(readServerChannel(indexify({ ...address, TLS_CERT: "/none" }))).rejects.toMatchObject({
    facts: { field: "indexify.tls.key" },
  });
});

test("labels, binds and sizes are read as they are written", () => {
  const config = indexify({
    LABELS: "region=eu,rule=a=b",
    BINDS: "/d:/d:ro",
    RESOURCES_CPU: "4",
    RESOURCES_MEM: "16384",
  });
  expect(labelsOf(config)).toEqual({ region: "eu", rule: "a=b" });
  expect(bindsOf(config)).toEqual([{ source: "/d", target: "/d", isReadOnly: true }]);
  expect(overridesOf(config)).toEqual({ cpuCount: 4, memoryBytes: 16 * 2 ** 30 });
  expect(overridesOf(indexify({}))).toEqual({});
});

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ExecutorError, Secret } from "../core/index.ts";
import type { OpenLog } from "./log.ts";
import { openLog } from "./log.ts";
import { plainLine } from "./plain-line.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-log-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function written(write: (log: OpenLog) => void): Promise<Record<string, unknown>[]> {
  const path = join(folder, "log");
  const descriptor = openSync(path, "w");
  const log = openLog({ level: "info", descriptor, fixed: { instance: "i1" } });
  write(log);
  await log[Symbol.asyncDispose]();
  closeSync(descriptor);
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("a line carries its event, its constant message, an ISO time and the fixed facts", async () => {
  const [line] = await written((log) => log.log("info", "sandbox.started", { sandboxId: "s1", startMs: 12 }));
  expect(line).toMatchObject({
    level: "info",
    event: "sandbox.started",
    msg: "sandbox ready",
    sandboxId: "s1",
    startMs: 12,
    instance: "i1",
  });
  expect(String(line?.["time"])).toMatch(/^\d{4}-\d\d-\d\dT/);
});

test("lines below the level are not written until the level changes", async () => {
  const lines = await written((log) => {
    log.log("debug", "call.ended");
    log.setLevel("debug");
    log.log("debug", "call.ended");
  });
  expect(lines).toHaveLength(1);
});

test("lines that come together keep their order, and reach the file without anybody asking", async () => {
  const path = join(folder, "log");
  const descriptor = openSync(path, "w");
  const log = openLog({ level: "info", descriptor });
  const levels = Array.from({ length: 40 }, (_, index) => (index % 7 === 3 ? "warn" : "info"));
  for (const [at, level] of levels.entries()) log.log(level, "sandbox.started", { at });
  const told = (): unknown[] =>
    readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => (JSON.parse(line) as { at: number }).at);
  await vi.waitFor(() => expect(told()).toEqual(levels.map((_, at) => at)), { timeout: 30_000 });
  await log[Symbol.asyncDispose]();
  closeSync(descriptor);
});

test("no secret reaches a line, by type, by name or inside a text", async () => {
  const canary = "canary-d41d8cd98f";
  const lines = await written((log) => {
    log.log("warn", "control.used", {
      secret: canary,
      nested: { registryPassword: canary, value: new Secret(canary) },
      address: `https://user:${canary}@registry.example/v2/?token=${canary}`,
      header: `Bearer ${canary}`,
      error: new ExecutorError("IMAGE_PULL_FAILED", { image: "a" }, { cause: new Error(`Basic ${canary}`) }),
    });
  });
  expect(JSON.stringify(lines)).not.toContain(canary);
  expect(JSON.stringify(lines)).toContain("IMAGE_PULL_FAILED");
});

test("a huge, deep or circular field makes a bounded line", async () => {
  const circular: Record<string, unknown> = { text: "x".repeat(1_000_000) };
  circular["self"] = circular;
  const [line] = await written((log) => log.log("error", "executor.failed", { circular }));
  expect(JSON.stringify(line).length).toBeLessThan(100_000);
});

test("a line for a person shows control characters instead of obeying them", () => {
  const time = new Date("2026-01-02T03:04:05.678Z");
  const fields = {
    image: "a/b:1",
    reason: "no \u001b[31mroom\u009b\n",
    startMs: 4,
    cause: { code: "X" },
    none: undefined,
  };
  expect(plainLine({ level: "warn", event: "sandbox.failed", fields, time })).toBe(
    '03:04:05 warn  sandbox could not be started image=a/b:1 reason="no \\u001b[31mroom?\\n" startMs=4 cause={"code":"X"}\n',
  );
});

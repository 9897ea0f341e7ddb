import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { committed, DOCUMENTS } from "../../scripts/write-docs.ts";
import type { Loaded } from "../../src/config/index.ts";
import { loadConfig } from "../../src/config/index.ts";

test.each(Object.entries(DOCUMENTS))("%s says what the code does (else: npm run docs)", (path, write) => {
  expect(committed(path)).toBe(write());
});

test("the sample file is valid, and changes nothing", () => {
  const folder = mkdtempSync(join(tmpdir(), "hearth-sample-"));
  try {
    const env = { HOME: folder, HEARTH_CONFIG: "none.yaml" };
    writeFileSync(join(folder, "empty.yaml"), "");
    writeFileSync(join(folder, "sample.yaml"), committed("hearth.example.yaml"));
    const load = (configFile: string): Loaded | undefined =>
      loadConfig({ env, cwd: folder, isRoot: false, configFile }).loaded;
    expect(load("sample.yaml")?.config).toEqual(load("empty.yaml")?.config);
    expect(load("sample.yaml")).toBeDefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

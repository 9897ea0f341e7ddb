import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runProgram } from "../support/run-program.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("the demo ends by itself with status 0, and shows an answer, both timings and what is warm", async () => {
  const { code, stdout, stderr } = await runProgram("sh", ["scripts/demo.sh"], {
    cwd: root,
    timeoutMs: 200_000,
  });
  expect(stderr + stdout).toContain('"success": true');
  expect(stdout).toMatch(/first call, with the start of its server +\d+ ms/);
  expect(stdout).toMatch(/warm calls, median +\d+\.\d+ ms/);
  expect(stdout).toMatch(/^ +\S+ +echo +/m);
  expect(code).toBe(0);
}, 240_000);

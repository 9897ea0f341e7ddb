import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
}

/** Each file, and the rules that it breaks. */
const FILES: Readonly<Record<string, { readonly text: string; readonly breaks: readonly string[] }>> = {
  "src/core/clock.ts": { text: 'import "node:fs"; export const a = 1;', breaks: ["the-core-is-pure"] },
  "src/core/outward.ts": { text: 'import "../engine/e.ts";', breaks: ["core-imports-only-itself"] },
  "src/engine/e.ts": { text: "export const e = 1;", breaks: [] },
  "src/engine/driver.ts": {
    text: 'import type { p } from "../drivers/process/p.ts"; export type P = typeof p;',
    breaks: ["engine-imports-only-itself-core-std-telemetry"],
  },
  "src/drivers/process/p.ts": { text: 'import "../../core/clock.ts"; export const p = 1;', breaks: [] },
  "src/drivers/docker/d.ts": {
    text: 'import "../process/p.ts"; import "dockerode";',
    breaks: ["no-driver-imports-another"],
  },
  "src/drivers/process/q.ts": { text: 'import "dockerode";', breaks: ["dockerode-stays-in-drivers-docker"] },
  "src/doors/http/h.ts": { text: "export const h = 1;", breaks: [] },
  "src/doors/stream/s.ts": { text: 'import "../http/h.ts";', breaks: ["no-door-imports-another"] },
  "src/client/c.ts": { text: 'import "node:http";', breaks: ["the-client-runs-anywhere"] },
  "src/std/one.ts": {
    text: 'import { two } from "./two.ts"; export const one = two;',
    breaks: ["no-circular"],
  },
  "src/std/two.ts": { text: 'import { one } from "./one.ts"; export const two = one;', breaks: [] },
  "src/telemetry/metrics/registry.ts": { text: 'import "prom-client"; export const r = 1;', breaks: [] },
  "src/telemetry/more.ts": {
    text: 'import "prom-client"; import "./metrics/registry.ts";',
    breaks: ["one-registry", "one-registry-is-opened-once"],
  },
  "src/std/grpc/open-channel.ts": { text: 'import "@grpc/grpc-js"; export const o = 1;', breaks: [] },
  "src/std/grpc/more.ts": { text: 'import "@grpc/grpc-js";', breaks: ["one-channel"] },
  "src/doors/indexify/link/second.ts": {
    text: 'import "../../../std/grpc/open-channel.ts"; import "@grpc/grpc-js";',
    breaks: ["@grpc/grpc-js-stays-in-std-grpc", "one-channel", "one-channel-for-each-peer"],
  },
  "src/doors/indexify/link/spoken.ts": {
    text: 'import type { o } from "../../../std/grpc/open-channel.ts"; export type O = typeof o;',
    breaks: [],
  },
  "src/doors/indexify/worker/worker-client.ts": {
    text: 'import "../../../std/grpc/open-channel.ts";',
    breaks: [],
  },
  "src/telemetry/dev.ts": { text: 'import "vitest";', breaks: ["nothing-undeclared"] },
  "src/client/client.ts": { text: "export const client = 1;", breaks: [] },
  "web/page.ts": { text: 'import "../src/client/client.ts";', breaks: [] },
  "web/short-cut.ts": { text: 'import "../src/std/two.ts";', breaks: ["the-page-uses-only-the-client"] },
  "web/large.ts": { text: 'import "zod";', breaks: ["the-page-is-small"] },
  "src/main.ts": { text: 'import "./engine/e.ts"; import "./drivers/docker/d.ts";', breaks: [] },
};

let folder: string;
let violations: readonly Violation[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-direction-"));
  for (const name of [".dependency-cruiser.cjs", "tsconfig.base.json", "package.json"]) {
    await cp(join(root, name), join(folder, name));
  }
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  for (const [path, { text }] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  violations = await cruise();
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

test("X12: a second registry of metrics does not pass", () => {
  const broken = violations
    .filter(({ from }) => from === "src/telemetry/more.ts")
    .map(({ rule }) => rule.name);
  expect(broken.sort()).toEqual(["one-registry", "one-registry-is-opened-once"]);
});

test("X12: a second way to speak gRPC, or to the server, does not pass", () => {
  const broken = violations
    .filter(({ from }) => from === "src/doors/indexify/link/second.ts")
    .map(({ rule }) => rule.name);
  expect(broken).toEqual(expect.arrayContaining(["one-channel", "one-channel-for-each-peer"]));
});

test.each(Object.entries(FILES))("%s breaks exactly the rules that it should", (path, { breaks }) => {
  const broken = violations.filter(({ from }) => from === path).map(({ rule }) => rule.name);
  expect(broken).toEqual(breaks);
});

/** @returns what `npm run direction` finds in the folder. */
async function cruise(): Promise<readonly Violation[]> {
  const program = join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
  const args = [program, "--config", ".dependency-cruiser.cjs", "--output-type", "json", "src", "web"];
  const stdout = await new Promise<string>((resolve) => {
    // It ends with the number of violations, so a status other than 0 is what we want.
    execFile(process.execPath, args, { cwd: folder, timeout: 170_000, maxBuffer: 1e8 }, (_error, text) =>
      resolve(text),
    );
  });
  const report = JSON.parse(stdout) as { summary: { violations: Violation[] } };
  return report.summary.violations;
}

import { cpSync, mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Scope } from "../../src/std/index.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { rangeOf } from "../support/range-of.ts";
import { walkPage } from "../support/walk-page.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const sample = join(root, "examples/executer-busybox");
const OWNER = `executer-image-${process.pid}`;
const noEngine = whyNoEngine();

test.skipIf(noEngine !== undefined)(
  `I16, I15: examples/executer-busybox: its commands, as written, build the image and bring a result${noEngine === undefined ? "" : ` (needs docker: ${noEngine})`}`,
  async () => {
    await using scope = new Scope();
    const folder = mkdtempSync(join(tmpdir(), "hearth-image-"));
    scope.defer(
      async () => await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }),
    );
    const engine = scope.use(await openPrivateEngine());
    // The page puts a busybox there, which the checkout is spared.
    cpSync(sample, join(folder, "examples/executer-busybox"), { recursive: true });
    const { stdout } = await walkPage({
      page: "examples/executer-busybox/README.md",
      folder,
      place: "/tmp/hearth-busybox",
      env: {
        DOCKER_HOST: `unix://${engine.socketPath}`,
        DOCKER_BUILDKIT: "0",
        HEARTH_DOCKER_OWNER: OWNER,
        HEARTH_DOCKER_NETWORK_RANGE: rangeOf(OWNER, 20),
        HEARTH_DOCKER_NETWORKS_AHEAD: "1",
      },
    });
    expect(JSON.parse(readFileSync(join(folder, "jobs/echo/artifacts/input.json"), "utf8"))).toEqual({
      word: "hello",
    });
    expect(stdout).toContain('{"word":"hello"}');
    expect(stdout).toContain("slept 1 of 1 s");
    expect(JSON.parse(readFileSync(join(folder, "jobs/slept/output.json"), "utf8"))).toEqual([1]);
  },
  300_000,
);

import Docker from "dockerode";
import { afterAll, beforeAll, describe } from "vitest";
import { describeWorkerDriver } from "../conformance/sandbox-driver.ts";
import { openDockerHarness } from "../support/docker-harness.ts";
import { buildJobImage } from "../support/images.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();

describe.skipIf(reason !== undefined)(reason ?? "with an engine of its own", () => {
  let engine: PrivateEngine;

  beforeAll(async () => {
    engine = await openPrivateEngine();
    await buildJobImage(new Docker({ socketPath: engine.socketPath }));
  }, 240_000);
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });

  describeWorkerDriver("docker", () => openDockerHarness(engine.socketPath, {}, "nobody/nothing:1"));
});

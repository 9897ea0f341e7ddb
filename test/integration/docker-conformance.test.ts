import Docker from "dockerode";
import { afterAll, beforeAll, describe } from "vitest";
import type { BehaviourImages } from "../conformance/sandbox-driver/harness.ts";
import { describeSandboxDriver } from "../conformance/sandbox-driver.ts";
import { openDockerHarness } from "../support/docker-harness.ts";
import { buildBehaviourImages } from "../support/images.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { openRegistry, type Registry } from "../support/registry.ts";

const reason = whyNoEngine();

describe.skipIf(reason !== undefined)(reason ?? "with an engine of its own", () => {
  let engine: PrivateEngine;
  let registry: Registry;
  let images: BehaviourImages;

  beforeAll(async () => {
    [engine, registry] = await Promise.all([openPrivateEngine(), openRegistry()]);
    images = await buildBehaviourImages(new Docker({ socketPath: engine.socketPath }));
  }, 240_000);
  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  describeSandboxDriver("docker", () =>
    openDockerHarness(engine.socketPath, images, `${registry.host}/nobody/nothing:1`),
  );
});

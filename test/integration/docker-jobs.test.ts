import Docker from "dockerode";
import { afterAll, beforeAll, describe } from "vitest";
import { describeJobDriver } from "../conformance/sandbox-driver.ts";
import { openDockerHarness } from "../support/docker-harness.ts";
import { buildJobImage, buildTaskImage } from "../support/images.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const SERVER = { main: "echo meca-init-done; exec nc -ll -p 8080 -e /handler" };

describe.skipIf(reason !== undefined)(reason ?? "with an engine of its own", () => {
  let engine: PrivateEngine;
  let echo: string;

  beforeAll(async () => {
    engine = await openPrivateEngine();
    const docker = new Docker({ socketPath: engine.socketPath });
    await buildJobImage(docker);
    echo = await buildTaskImage(docker, "echo", SERVER);
  }, 240_000);
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });

  describeJobDriver("docker", () => openDockerHarness(engine.socketPath, { echo }, "nobody/nothing:1"));
});

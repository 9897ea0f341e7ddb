import { randomBytes } from "node:crypto";
import Docker from "dockerode";
import { afterAll, beforeAll, describe } from "vitest";
import type { SandboxDriver } from "../../src/core/index.ts";
import { LABEL, ownerLabel } from "../../src/drivers/docker/container/labels.ts";
import { openDockerDriver } from "../../src/drivers/docker/index.ts";
import type { BehaviourImages, SandboxDriverHarness } from "../conformance/sandbox-driver/harness.ts";
import { describeSandboxDriver } from "../conformance/sandbox-driver.ts";
import { buildBehaviourImages, importImage, taskFiles } from "../support/images.ts";
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
  }, 120_000);
  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  describeSandboxDriver("docker", () => openHarness(engine.socketPath, images, registry));
});

async function openHarness(
  socketPath: string,
  images: BehaviourImages,
  registry: Registry,
): Promise<SandboxDriverHarness> {
  const docker = new Docker({ socketPath });
  const ownerId = `test-${randomBytes(4).toString("hex")}`;
  const owners = [ownerId];
  const open = (owner: string): Promise<SandboxDriver> =>
    openDockerDriver(
      { socketPath, ownerId: owner, instanceId: randomBytes(4).toString("hex"), networksAhead: 3 },
      new AbortController().signal,
    );
  let driver = await open(ownerId);
  return {
    driver,
    images,
    unknownImage: `${registry.host}/nobody/nothing:1`,
    enforcesMemory: true,
    hasGpus: false,
    hasSgx: false,
    async remains() {
      const rows = await docker.listContainers({ all: true, filters: { label: [ownerLabel(ownerId)] } });
      return rows.filter((row) => row.Labels[LABEL.KIND] === "sandbox").map((row) => row.Names.join());
    },
    async changeContent() {
      const files = await taskFiles({
        main: "echo version two; echo meca-init-done; exec nc -ll -p 8080 -e /handler",
      });
      await importImage(docker, images.changing, files, ["/bin/sh", "/main"]);
    },
    async killFromOutside(sandbox) {
      await docker.getContainer(sandbox.label).kill();
    },
    async reopen() {
      await driver[Symbol.asyncDispose]();
      driver = await open(ownerId);
      return driver;
    },
    async openStranger() {
      owners.push(`${ownerId}-stranger`);
      return await open(`${ownerId}-stranger`);
    },
    async [Symbol.asyncDispose]() {
      await driver[Symbol.asyncDispose]();
      for (const owner of owners) await expectNothing(docker, owner);
    },
  };
}

/** After a driver has let go, only sandboxes may be left, and this harness has ended those. */
async function expectNothing(docker: Docker, ownerId: string): Promise<void> {
  const filters = { label: [ownerLabel(ownerId)] };
  const containers = await docker.listContainers({ all: true, filters });
  const networks = await docker.listNetworks({ filters: JSON.stringify(filters) });
  const left = [...containers.map((row) => row.Names.join()), ...networks.map((row) => row.Name)];
  if (left.length > 0) throw new Error(`left behind by ${ownerId}: ${left.join(", ")}`);
}

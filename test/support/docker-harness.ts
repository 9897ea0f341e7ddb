import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import type { SandboxDriver } from "../../src/core/index.ts";
import { LABEL, ownerLabel } from "../../src/drivers/docker/container/labels.ts";
import type { DockerDriverOptions } from "../../src/drivers/docker/index.ts";
import { openDockerDriver } from "../../src/drivers/docker/index.ts";
import type { BehaviourImages, SandboxDriverHarness } from "../conformance/sandbox-driver/harness.ts";
import { importImage, JOB_IMAGE, taskFiles } from "./images.ts";

/** What is a sandbox's own; networks are kept for the next one. */
const KINDS: readonly string[] = ["sandbox", "job", "worker", "helper"];

/**
 * A docker driver on a private engine, with an owner and a shared folder of its own.
 *
 * @param images the images for calls that the engine has.
 * @param unknownImage one that nobody has, in a registry that answers.
 */
export async function openDockerHarness(
  socketPath: string,
  images: Partial<BehaviourImages>,
  unknownImage: string,
  further: Partial<DockerDriverOptions> = {},
): Promise<SandboxDriverHarness> {
  const docker = new Docker({ socketPath });
  const ownerId = `test-${randomBytes(4).toString("hex")}`;
  const owners = [ownerId];
  const open = (owner: string): Promise<SandboxDriver> =>
    openDockerDriver(
      {
        socketPath,
        ownerId: owner,
        instanceId: randomBytes(4).toString("hex"),
        networksAhead: 3,
        ...further,
      },
      new AbortController().signal,
    );
  // Closed to others, as an operator's shared folder is: the jobs in it run as anybody.
  const shared = await mkdtemp(join(tmpdir(), "hearth-shared-"));
  let driver = await open(ownerId);
  return {
    driver,
    images,
    jobs: {
      image: JOB_IMAGE,
      shared: { localPath: shared, hostPath: shared },
      hasOwnView: true,
      enforcesPids: true,
      enforcesCpu: true,
    },
    unknownImage,
    enforcesMemory: true,
    hasGpus: false,
    hasSgx: false,
    async remains() {
      const rows = await docker.listContainers({ all: true, filters: { label: [ownerLabel(ownerId)] } });
      return rows
        .filter((row) => KINDS.includes(row.Labels[LABEL.KIND] ?? ""))
        .map((row) => row.Names.join());
    },
    async changeContent() {
      const files = await taskFiles({
        main: "echo version two; echo meca-init-done; exec nc -ll -p 8080 -e /handler",
      });
      await importImage(docker, images.changing ?? "", files, ["/bin/sh", "/main"]);
    },
    async killFromOutside(sandbox) {
      await docker.getContainer(sandbox.label).kill();
    },
    async reopen(meanwhile) {
      await driver[Symbol.asyncDispose]();
      await meanwhile?.();
      driver = await open(ownerId);
      return driver;
    },
    async openStranger() {
      owners.push(`${ownerId}-stranger`);
      return await open(`${ownerId}-stranger`);
    },
    async [Symbol.asyncDispose]() {
      await driver[Symbol.asyncDispose]();
      await rm(shared, { recursive: true, force: true });
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

import { randomBytes } from "node:crypto";
import Docker from "dockerode";
import type { ResolvedImage, Sandbox, SandboxDriver, SandboxSpec, TaskSpec } from "../../src/core/index.ts";
import { asId, taskKey } from "../../src/core/index.ts";
import { ownerLabel } from "../../src/drivers/docker/container/labels.ts";
import type { DockerDriverOptions } from "../../src/drivers/docker/index.ts";
import { openDockerDriver } from "../../src/drivers/docker/index.ts";

/** Drivers of one owner on one engine, and what they leave. */
export interface DockerWorld extends AsyncDisposable {
  readonly docker: Docker;
  readonly ownerId: string;
  /** Opens a driver, by default one more life of the owner; the world disposes it. */
  open(options?: Partial<DockerDriverOptions>): Promise<SandboxDriver>;
  /** Names of the containers and networks that carry the owner's label. */
  remains(): Promise<readonly string[]>;
}

export function openDockerWorld(socketPath: string): DockerWorld {
  const docker = new Docker({ socketPath });
  const ownerId = `test-${randomBytes(4).toString("hex")}`;
  const drivers: SandboxDriver[] = [];
  const remains = async (): Promise<readonly string[]> => {
    const filters = { label: [ownerLabel(ownerId)] };
    const containers = await docker.listContainers({ all: true, filters });
    const networks = await docker.listNetworks({ filters: JSON.stringify(filters) });
    return [...containers.map((row) => row.Names.join().slice(1)), ...networks.map((row) => row.Name)];
  };
  return {
    docker,
    ownerId,
    async open(options = {}) {
      const instanceId = randomBytes(4).toString("hex");
      const all = { socketPath, ownerId, instanceId, networksAhead: 2, ...options };
      const driver = await openDockerDriver(all, never());
      drivers.push(driver);
      return driver;
    },
    remains,
    async [Symbol.asyncDispose]() {
      for (const driver of drivers) await driver[Symbol.asyncDispose]();
      const filters = { label: [ownerLabel(ownerId)] };
      for (const { Id } of await docker.listContainers({ all: true, filters })) {
        await docker.getContainer(Id).remove({ force: true, v: true });
      }
      for (const { Id } of await docker.listNetworks({ filters: JSON.stringify(filters) })) {
        await docker.getNetwork(Id).remove();
      }
    },
  };
}

export const SMALL_TASK = {
  cpuMillis: 500,
  memoryBytes: 64 * 1_048_576,
  gpuCount: 0,
  gpuMemoryBytes: 0,
} as const;

export async function startTask(
  driver: SandboxDriver,
  image: string,
  options: {
    readonly task?: Partial<TaskSpec>;
    readonly startTimeoutMs?: number;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Sandbox> {
  const resolved = await driver.resolve(image, { refresh: "missing" }, never());
  return await driver.start(specOf(image, resolved, options), options.signal ?? never());
}

export function specOf(
  image: string,
  resolved: ResolvedImage,
  {
    task = {},
    startTimeoutMs = 60_000,
  }: { readonly task?: Partial<TaskSpec>; readonly startTimeoutMs?: number } = {},
): SandboxSpec {
  const whole: TaskSpec = {
    image,
    isolation: "default",
    resources: SMALL_TASK,
    sgx: false,
    network: "default",
    ...task,
  };
  const sandboxId = asId<"sandbox">(randomBytes(13).toString("hex"));
  return { sandboxId, taskKey: taskKey(whole), task: whole, image: resolved, gpuIds: [], startTimeoutMs };
}

export function never(): AbortSignal {
  return new AbortController().signal;
}

import type { NetworkPolicy as Policy, TaskSpec } from "../../../core/index.ts";
import { ExecutorError, MEBIBYTE } from "../../../core/index.ts";
import type { WorkerRequest } from "../../../engine/workers/workers.ts";
import type { NetworkPolicy } from "../../../gen/executor_api_pb.js";
import type { SandboxOrder } from "../commands/orders.ts";
import type { LaunchOptions } from "../worker/launch-worker.ts";
import type { SandboxProcess } from "./sandbox.ts";

/** One whose description says nothing of its size. */
const UNSAID = { cpuMillis: 1_000, memoryBytes: 512 * MEBIBYTE } as const;

export interface SandboxLaunchOptions
  extends Pick<
    LaunchOptions,
    "workers" | "executorId" | "network" | "isolation" | "secretNames" | "environment"
  > {
  /** The image is the server's choice, so that what the operator allows to callers counts. */
  isImageAllowed(image: string): boolean;
}

/**
 * Starts the container of a sandbox once there is room for it, in the books of all doors. Nothing of the host is shown to it: not
 * the folders that workers see either.
 *
 * @throws {@link ExecutorError} SANDBOX_START_FAILED for what is not offered here; IMAGE_NOT_FOUND without an image;
 * IMAGE_FORBIDDEN; NETWORK_UNAVAILABLE; as `Workers.start`; the signal's reason.
 */
export async function launchSandbox(
  options: SandboxLaunchOptions,
  order: SandboxOrder,
  signal: AbortSignal,
): Promise<SandboxProcess> {
  const request = toRequest(options, order);
  options.workers.check(request.task, request.door);
  const worker = await options.workers.start(request, signal);
  return {
    endpointOf: (port) => worker.endpointOf(port),
    ended: worker.ended,
    kill: (graceMs) => worker.kill(graceMs),
  };
}

function toRequest(options: SandboxLaunchOptions, order: SandboxOrder): WorkerRequest {
  const { workers, secretNames, environment } = options;
  const { id, description } = order;
  const { image = "", entrypoint = [], snapshotUri = "" } = description.sandboxMetadata ?? {};
  if (!workers.needImage) throw notOffered(image, "sandboxes need the docker driver");
  if (snapshotUri !== "") throw notOffered(image, "snapshots cannot be restored here");
  if (image === "")
    throw new ExecutorError("IMAGE_NOT_FOUND", { image, reason: "the sandbox names no image" });
  if (!options.isImageAllowed(image)) throw new ExecutorError("IMAGE_FORBIDDEN", { image });
  const named = secretNames.filter((name) => description.secretNames.includes(name));
  const secrets = named.flatMap((name): [string, string][] => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    workerId: id,
    door: "indexify",
    purpose: "sandbox",
    serves: undefined,
    task: taskOf(options, order, image),
    command: () => entrypoint,
    environment: Object.fromEntries(secrets),
    binds: [],
    labels: labelsOf(options, order),
    user: undefined,
    pidsLimit: undefined,
  };
}

function taskOf(options: SandboxLaunchOptions, { description }: SandboxOrder, image: string): TaskSpec {
  const { resources, sandboxMetadata } = description;
  const cpuMillis = resources?.cpuMsPerSec ?? 0;
  const memoryBytes = Number(resources?.memoryBytes ?? 0n);
  return {
    image,
    isolation: options.isolation,
    resources: {
      cpuMillis: cpuMillis > 0 ? cpuMillis : UNSAID.cpuMillis,
      memoryBytes: memoryBytes > 0 ? memoryBytes : UNSAID.memoryBytes,
      gpuCount: resources?.gpu?.count ?? 0,
      gpuMemoryBytes: 0,
    },
    sgx: false,
    network: networkOf(sandboxMetadata?.networkPolicy, options.network, image),
  };
}

/** A sandbox is never given more than was asked for: a rule that cannot be kept here is refused, not left out. */
function networkOf(
  policy: NetworkPolicy | undefined,
  configured: Policy | "default",
  image: string,
): Policy | "default" {
  if (policy === undefined) return configured;
  const { allowInternetAccess, allowOut, denyOut } = policy;
  if (allowOut.length > 0) throw notOffered(image, "addresses cannot be allowed one by one here");
  if (allowInternetAccess === false) return "none";
  if (denyOut.length > 0) throw notOffered(image, "addresses cannot be denied one by one here");
  return allowInternetAccess === true ? "egress" : configured;
}

/** As the reference labels its containers (`contracts/indexify.md` 6.3). */
function labelsOf(
  { executorId }: SandboxLaunchOptions,
  { id, description }: SandboxOrder,
): Record<string, string> {
  const { function: called, sandboxMetadata, poolId } = description;
  const labels = {
    container_id: id,
    executor_id: executorId,
    namespace: called?.namespace,
    app: called?.applicationName,
    sandbox_id: sandboxMetadata?.sandboxId,
    pool_id: poolId,
  };
  return Object.fromEntries(
    Object.entries(labels).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "",
    ),
  );
}

function notOffered(image: string, reason: string): ExecutorError {
  return new ExecutorError("SANDBOX_START_FAILED", { image, reason });
}

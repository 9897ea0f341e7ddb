import type { NetworkPolicy, TaskSpec, WorkerBind } from "../../../core/index.ts";
import { ExecutorError, MEBIBYTE } from "../../../core/index.ts";
import type { RunningWorker, WorkerRequest, Workers } from "../../../engine/workers/workers.ts";
import { findOnPath, urlHost } from "../../../std/index.ts";
import type { ContainerOrder } from "../commands/orders.ts";
import { functionText } from "../commands/orders.ts";
import type { WorkerProcess } from "./worker.ts";
import { workerEnvironment } from "./worker-environment.ts";
import { INSTALL } from "./worker-versions.ts";

/** A container whose description says nothing of its size. */
const UNSAID = { cpuMillis: 1_000, memoryBytes: 512 * MEBIBYTE } as const;

export interface LaunchOptions {
  readonly workers: Workers;
  readonly executorId: string;
  /** On `PATH` or by its path; in the image where there is one. */
  readonly program: string;
  /** Of every worker, where workers are made of images; "" is none. */
  readonly image: string;
  readonly binds: readonly WorkerBind[];
  readonly network: NetworkPolicy | "default";
  /** Of workers in containers. */
  readonly isolation: TaskSpec["isolation"];
  /** Variables that functions may name as their secrets. */
  readonly secretNames: readonly string[];
  /** The daemon's own environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Starts the program of a worker once there is room for it, in the books of all doors. The end of a pause is waited for as well: the
 * server would take a refusal for a broken function.
 *
 * @throws {@link ExecutorError} SANDBOX_START_FAILED that says what to install; IMAGE_NOT_FOUND without an image; as
 * `Workers.start`; the signal's reason.
 */
export async function launchWorker(
  options: LaunchOptions,
  order: ContainerOrder,
  signal: AbortSignal,
): Promise<WorkerProcess> {
  const request = await toRequest(options, order);
  const { workers } = options;
  const worker = await workers.start(request, signal);
  return toProcess(worker, request.task, workers.needImage);
}

/**
 * What a worker is asked for as: of a container that never ran here, for the records. An unknown one is asked for nothing.
 */
export function taskOfContainer(options: LaunchOptions): (container: ContainerOrder | undefined) => TaskSpec {
  const { isolation, network, workers, program } = options;
  const image = workers.needImage ? options.image : program;
  const resources = { cpuMillis: 0, memoryBytes: 0, gpuCount: 0, gpuMemoryBytes: 0 };
  const unknown: TaskSpec = { image, isolation, resources, sgx: false, network };
  return (container) => (container === undefined ? unknown : taskOf(container, options, image));
}

/**
 * The program of the workers on this host, found anew each time: it may be installed while the daemon runs.
 *
 * @throws {@link ExecutorError} SANDBOX_START_FAILED that says what to install.
 */
export async function findWorkerProgram({
  program,
  environment,
}: Pick<LaunchOptions, "program" | "environment">): Promise<string> {
  const found = await findOnPath(program, environment["PATH"] ?? "");
  if (found !== undefined) return found;
  const reason = `${program} is not on this host's PATH; install it with: ${INSTALL}`;
  throw new ExecutorError("SANDBOX_START_FAILED", { image: program, reason });
}

async function toRequest(options: LaunchOptions, order: ContainerOrder): Promise<WorkerRequest> {
  const { workers, executorId, binds, environment, secretNames } = options;
  const { id } = order;
  const program = workers.needImage ? options.program : await findWorkerProgram(options);
  if (workers.needImage && options.image === "") {
    const reason = "indexify.image is not set, and the docker driver needs an image for workers";
    throw new ExecutorError("IMAGE_NOT_FOUND", { image: "", reason });
  }
  const named = secretNames.filter((name) => order.secretNames.includes(name));
  const secrets = Object.fromEntries(named.map((name) => [name, environment[name]]));
  return {
    workerId: id,
    door: "indexify",
    purpose: "function",
    serves: functionText(order.function),
    task: taskOf(order, options, workers.needImage ? options.image : program),
    command: (listen) => [
      program,
      `--executor-id=${executorId}`,
      `--function-executor-id=${id}`,
      "--address",
      listen,
    ],
    environment: workerEnvironment(
      { executorId, containerId: id },
      workers.needImage ? {} : without(environment, secretNames),
      secrets,
    ),
    binds,
    labels: labelsOf(order, executorId),
    user: undefined,
    pidsLimit: undefined,
  };
}

/** What the operator lists as a secret is no longer everybody's, though a program of this host inherits the rest. */
function without(
  variables: LaunchOptions["environment"],
  names: readonly string[],
): LaunchOptions["environment"] {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !names.includes(name)));
}

function taskOf(
  { resources }: ContainerOrder,
  { network, isolation }: LaunchOptions,
  image: string,
): TaskSpec {
  const cpuMillis = resources?.cpuMsPerSec ?? 0;
  const memoryBytes = Number(resources?.memoryBytes ?? 0n);
  return {
    image,
    isolation,
    resources: {
      cpuMillis: cpuMillis > 0 ? cpuMillis : UNSAID.cpuMillis,
      memoryBytes: memoryBytes > 0 ? memoryBytes : UNSAID.memoryBytes,
      gpuCount: resources?.gpu?.count ?? 0,
      gpuMemoryBytes: 0,
    },
    sgx: false,
    network,
  };
}

/** As the reference labels its containers (`contracts/indexify.md` 6.3). */
function labelsOf({ id, function: called }: ContainerOrder, executorId: string): Record<string, string> {
  return {
    is_function_executor: "true",
    container_id: id,
    fn_executor_id: id,
    executor_id: executorId,
    namespace: called.namespace,
    app: called.application,
    fn: called.name,
    ...(called.version === undefined ? {} : { app_version: called.version }),
  };
}

function toProcess(worker: RunningWorker, task: TaskSpec, isOfImage: boolean): WorkerProcess {
  const { endpoint, ended, kill, rest, sandboxId, isolation, imageDigest, gpuIds } = worker;
  const home = { task, sandboxId, isolation, imageDigest, gpuIds };
  return { address: `${urlHost(endpoint.host)}:${endpoint.port}`, isOfImage, home, ended, kill, rest };
}

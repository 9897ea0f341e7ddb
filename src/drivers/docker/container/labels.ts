import type {
  IsolationClass,
  JobMark,
  JobSandboxSpec,
  SandboxId,
  SandboxSpec,
  TaskKey,
  TaskSpec,
  WorkDir,
  WorkerSpec,
} from "../../../core/index.ts";
import { asId, isIsolationClass, isNetworkPolicy, taskKey } from "../../../core/index.ts";
import { hasRightCount } from "./gpu-request.ts";
import type { IsolationPlan } from "./plan-isolation.ts";

/** Every label that the driver sets. Whatever carries our owner is ours; `KIND` says what it is. */
export const LABEL = {
  OWNER: "hearth.owner",
  INSTANCE: "hearth.instance",
  KIND: "hearth.kind",
  SCHEMA: "hearth.schema",
  CREATED_AT: "hearth.created-at",
  SANDBOX: "hearth.sandbox",
  TASK_KEY: "hearth.task-key",
  TASK: "hearth.task",
  IMAGE_DIGEST: "hearth.image-digest",
  /** The class that it reached, and the engine's runtime that was named for it (empty: none was). */
  ISOLATION: "hearth.isolation",
  RUNTIME: "hearth.runtime",
  /** The UUIDs of the cards that it was given, separated by commas. */
  GPUS: "hearth.gpus",
  /** A job's or worker's name, and the count of a job's try. */
  JOB: "hearth.job",
  ATTEMPT: "hearth.attempt",
  /** Its work folder under all its names, as JSON. */
  WORK_DIR: "hearth.work-dir",
  /** What a network of ours lets who is in it reach. */
  POLICY: "hearth.policy",
  SUBNET: "hearth.subnet",
} as const;

/** Raised when the meaning of a label changes: sandboxes of another schema are reaped, never adopted. */
export const LABEL_SCHEMA = "2";

export type Labels = Readonly<Record<string, string>>;

/** What an earlier or present life wrote on a sandbox or job. */
export interface CommonLabels {
  readonly sandboxId: SandboxId;
  readonly task: TaskSpec;
  readonly imageDigest: string;
  readonly gpuIds: readonly string[];
  /** The class that it reached. */
  readonly isolation: IsolationClass;
  /** The runtime that was named for it; `undefined` when none was. */
  readonly runtime: string | undefined;
}

export interface SandboxLabels extends CommonLabels {
  readonly taskKey: TaskKey;
}

export interface JobLabels extends CommonLabels {
  readonly mark: JobMark;
  readonly workDir: WorkDir;
}

export interface Owner {
  readonly ownerId: string;
  readonly instanceId: string;
}

export type ContainerKind = "sandbox" | "job" | "worker" | "network" | "probe" | "helper";

export function ownerLabel(ownerId: string): string {
  return `${LABEL.OWNER}=${ownerId}`;
}

export function baseLabels(owner: Owner, kind: ContainerKind, nowMs: number): Labels {
  return {
    [LABEL.OWNER]: owner.ownerId,
    [LABEL.INSTANCE]: owner.instanceId,
    [LABEL.KIND]: kind,
    [LABEL.SCHEMA]: LABEL_SCHEMA,
    [LABEL.CREATED_AT]: new Date(nowMs).toISOString(),
  };
}

export function sandboxLabels(spec: SandboxSpec, plan: IsolationPlan): Labels {
  return { ...commonLabels(spec, plan), [LABEL.TASK_KEY]: spec.taskKey };
}

export function jobLabels(spec: JobSandboxSpec, plan: IsolationPlan): Labels {
  return {
    ...commonLabels(spec, plan),
    [LABEL.JOB]: spec.mark.jobId,
    [LABEL.ATTEMPT]: String(spec.mark.attempt),
    [LABEL.WORK_DIR]: JSON.stringify(spec.workDir),
  };
}

/** Nobody takes a worker over: these are for whoever looks. */
export function workerLabels(
  spec: Pick<WorkerSpec, "sandboxId" | "task" | "gpuIds" | "mark"> & Pick<SandboxSpec, "image">,
  plan: IsolationPlan,
): Labels {
  return { ...commonLabels(spec, plan), [LABEL.JOB]: spec.mark.jobId };
}

function commonLabels(
  spec: Pick<SandboxSpec, "sandboxId" | "task" | "image" | "gpuIds">,
  { isolation, runtime }: IsolationPlan,
): Labels {
  return {
    [LABEL.SANDBOX]: spec.sandboxId,
    [LABEL.TASK]: JSON.stringify(spec.task),
    [LABEL.IMAGE_DIGEST]: spec.image.digest,
    [LABEL.ISOLATION]: isolation,
    [LABEL.RUNTIME]: runtime ?? "",
    [LABEL.GPUS]: spec.gpuIds.join(","),
  };
}

/** Reads a sandbox's labels back; `undefined` unless they are whole, of our schema and agree with each other. */
export function readSandboxLabels(labels: Labels): SandboxLabels | undefined {
  const common = readCommonLabels(labels, "sandbox");
  if (common === undefined) return undefined;
  const key = taskKey(common.task);
  return labels[LABEL.TASK_KEY] === key ? { ...common, taskKey: key } : undefined;
}

/** The same of a job's. */
export function readJobLabels(labels: Labels): JobLabels | undefined {
  const common = readCommonLabels(labels, "job");
  const attempt = Number(labels[LABEL.ATTEMPT]);
  const jobId = labels[LABEL.JOB];
  const workDir = readWorkDir(labels[LABEL.WORK_DIR] ?? "");
  if (common === undefined || jobId === undefined || workDir === undefined) return undefined;
  if (!Number.isSafeInteger(attempt) || attempt < 1) return undefined;
  return { ...common, mark: { jobId, attempt }, workDir };
}

/** The sandbox's id alone, which is read whatever else is amiss. */
export function readSandboxId(labels: Labels): SandboxId | undefined {
  const text = labels[LABEL.SANDBOX];
  return text === undefined ? undefined : asId<"sandbox">(text);
}

function readCommonLabels(labels: Labels, kind: ContainerKind): CommonLabels | undefined {
  if (labels[LABEL.SCHEMA] !== LABEL_SCHEMA || labels[LABEL.KIND] !== kind) return undefined;
  const sandboxId = readSandboxId(labels);
  const imageDigest = labels[LABEL.IMAGE_DIGEST];
  const task = readTask(labels[LABEL.TASK] ?? "");
  if (sandboxId === undefined || imageDigest === undefined || task === undefined) return undefined;
  const isolation = labels[LABEL.ISOLATION] ?? "";
  const runtime = labels[LABEL.RUNTIME];
  const gpuIds = readCards(labels, task);
  if (!isIsolationClass(isolation) || runtime === undefined || gpuIds === undefined) return undefined;
  return {
    sandboxId,
    task,
    imageDigest,
    gpuIds,
    isolation,
    runtime: runtime === "" ? undefined : runtime,
  };
}

/** `undefined` if it holds other than what it was made for: nobody could book that. */
function readCards(labels: Labels, { resources }: TaskSpec): readonly string[] | undefined {
  const gpuIds = (labels[LABEL.GPUS] ?? "").split(",").filter((id) => id !== "");
  return hasRightCount(gpuIds, resources.gpuCount) ? gpuIds : undefined;
}

function readWorkDir(text: string): WorkDir | undefined {
  const value = parse(text);
  if (!isRecord(value)) return undefined;
  const { localPath, hostPath, target } = value;
  if (typeof localPath !== "string" || typeof hostPath !== "string" || typeof target !== "string")
    return undefined;
  return { localPath, hostPath, target };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readTask(text: string): TaskSpec | undefined {
  const value = parse(text);
  if (!isRecord(value) || !isRecord(value["resources"])) return undefined;
  const { image, isolation, sgx, network } = value;
  const { cpuMillis, memoryBytes, gpuCount, gpuMemoryBytes } = value["resources"];
  if (typeof image !== "string" || typeof sgx !== "boolean") return undefined;
  if (!isChoice(isolation, isIsolationClass) || !isChoice(network, isNetworkPolicy)) return undefined;
  if (!isCount(cpuMillis) || !isCount(memoryBytes) || !isCount(gpuCount) || !isCount(gpuMemoryBytes))
    return undefined;
  return { image, isolation, resources: { cpuMillis, memoryBytes, gpuCount, gpuMemoryBytes }, sgx, network };
}

function isChoice<T extends string>(
  value: unknown,
  isNamed: (text: string) => text is T,
): value is T | "default" {
  return typeof value === "string" && (value === "default" || isNamed(value));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

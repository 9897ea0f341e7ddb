import type { IsolationClass, SandboxId, SandboxSpec, TaskKey, TaskSpec } from "../../../core/index.ts";
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
  /** What a network of ours lets who is in it reach. */
  POLICY: "hearth.policy",
  SUBNET: "hearth.subnet",
} as const;

/** Raised when the meaning of a label changes: sandboxes of another schema are reaped, never adopted. */
export const LABEL_SCHEMA = "2";

export type Labels = Readonly<Record<string, string>>;

/** What an earlier or present life wrote on a sandbox. */
export interface SandboxLabels {
  readonly sandboxId: SandboxId;
  readonly taskKey: TaskKey;
  readonly task: TaskSpec;
  readonly imageDigest: string;
  readonly gpuIds: readonly string[];
  /** The class that it reached. */
  readonly isolation: IsolationClass;
  /** The runtime that was named for it; `undefined` when none was. */
  readonly runtime: string | undefined;
}

export interface Owner {
  readonly ownerId: string;
  readonly instanceId: string;
}

export function ownerLabel(ownerId: string): string {
  return `${LABEL.OWNER}=${ownerId}`;
}

export function baseLabels(owner: Owner, kind: "sandbox" | "network" | "probe", nowMs: number): Labels {
  return {
    [LABEL.OWNER]: owner.ownerId,
    [LABEL.INSTANCE]: owner.instanceId,
    [LABEL.KIND]: kind,
    [LABEL.SCHEMA]: LABEL_SCHEMA,
    [LABEL.CREATED_AT]: new Date(nowMs).toISOString(),
  };
}

export function sandboxLabels(spec: SandboxSpec, { isolation, runtime }: IsolationPlan): Labels {
  return {
    [LABEL.SANDBOX]: spec.sandboxId,
    [LABEL.TASK_KEY]: spec.taskKey,
    [LABEL.TASK]: JSON.stringify(spec.task),
    [LABEL.IMAGE_DIGEST]: spec.image.digest,
    [LABEL.ISOLATION]: isolation,
    [LABEL.RUNTIME]: runtime ?? "",
    [LABEL.GPUS]: spec.gpuIds.join(","),
  };
}

/** Reads a sandbox's labels back; `undefined` unless they are whole, of our schema and agree with each other. */
export function readSandboxLabels(labels: Labels): SandboxLabels | undefined {
  if (!isSandboxOfOurs(labels)) return undefined;
  const sandboxId = labels[LABEL.SANDBOX];
  const imageDigest = labels[LABEL.IMAGE_DIGEST];
  const task = readTask(labels[LABEL.TASK] ?? "");
  if (sandboxId === undefined || imageDigest === undefined || task === undefined) return undefined;
  if (labels[LABEL.TASK_KEY] !== taskKey(task)) return undefined;
  const isolation = labels[LABEL.ISOLATION] ?? "";
  const runtime = labels[LABEL.RUNTIME];
  const gpuIds = readCards(labels, task);
  if (!isIsolationClass(isolation) || runtime === undefined || gpuIds === undefined) return undefined;
  return {
    sandboxId: asId<"sandbox">(sandboxId),
    taskKey: taskKey(task),
    task,
    imageDigest,
    gpuIds,
    isolation,
    runtime: runtime === "" ? undefined : runtime,
  };
}

function isSandboxOfOurs(labels: Labels): boolean {
  return labels[LABEL.SCHEMA] === LABEL_SCHEMA && labels[LABEL.KIND] === "sandbox";
}

/** `undefined` if it holds other than what it was made for: nobody could book that. */
function readCards(labels: Labels, { resources }: TaskSpec): readonly string[] | undefined {
  const gpuIds = (labels[LABEL.GPUS] ?? "").split(",").filter((id) => id !== "");
  return hasRightCount(gpuIds, resources.gpuCount) ? gpuIds : undefined;
}

function readTask(text: string): TaskSpec | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
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

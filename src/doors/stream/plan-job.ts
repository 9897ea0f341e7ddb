import type { ImagesFile, MethodTable, RequestEntry } from "../../contract/executer-tracker/index.ts";
import { commandOf } from "../../contract/executer-tracker/index.ts";
import type { TaskResources, TaskSpec } from "../../core/index.ts";
import { MEBIBYTE } from "../../core/index.ts";
import type { ExecuterType, JobDefaults } from "./door-options.ts";

/** What is run for one request. */
export interface JobPlan {
  readonly task: TaskSpec;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly user: string | undefined;
  readonly pidsLimit: number | undefined;
  /** What its folder may take; `undefined`: it does not say. */
  readonly diskBytes: number | undefined;
  readonly deadlineMs: number;
}

export type Planned =
  | { readonly type: "plan"; readonly plan: JobPlan }
  | { readonly type: "fault"; readonly reason: string };

export interface PlanBook {
  readonly types: ImagesFile;
  readonly methods: MethodTable;
  defaults(): JobDefaults;
}

/** Looks a request up in what the operator has written down. What the request says decides nothing else. */
export function planJob(request: RequestEntry, { types, methods, defaults }: PlanBook): Planned {
  const { executer_type: typeName, method } = request;
  const type = types.get(typeName);
  if (type === undefined) {
    return { type: "fault", reason: `the executer type ${printable(typeName)} is not in the images file` };
  }
  const command = commandOf(methods, method);
  if (command === undefined) {
    return { type: "fault", reason: `the method ${printable(method)} is not in the table of methods` };
  }
  const standard = defaults();
  const plan: JobPlan = {
    task: taskOf(type, standard),
    command,
    environment: type.env,
    user: type.user,
    pidsLimit: type.pids ?? standard.pidsLimit,
    diskBytes: diskOf(type),
    deadlineMs: deadlineOf(request, type, standard),
  };
  return { type: "plan", plan };
}

/** The task that every job of a type is. */
export function taskOf(type: ExecuterType, standard: JobDefaults): TaskSpec {
  return {
    image: type.image,
    isolation: type.isolation ?? "default",
    resources: resourcesOf(type, standard),
    sgx: false,
    network: type.network ?? standard.network,
  };
}

/** What a type says of the disk that its jobs may fill. */
export function diskOf({ disk }: ExecuterType): number | undefined {
  return disk === undefined ? undefined : disk * MEBIBYTE;
}

function resourcesOf(type: ExecuterType, standard: JobDefaults): TaskResources {
  const everyCard = Math.max(1, standard.gpuCount);
  const gpuCount = type.gpu === true ? everyCard : Number(type.gpu);
  return {
    cpuMillis: type.cpus === undefined ? standard.cpuMillis : Math.max(1, Math.round(type.cpus * 1000)),
    memoryBytes: type.memory === undefined ? standard.memoryBytes : type.memory * MEBIBYTE,
    gpuCount,
    gpuMemoryBytes: gpuCount === 0 ? 0 : (type.gpu_memory ?? 0) * MEBIBYTE,
  };
}

/** The shortest of what the entry, its type and the operator allow. */
function deadlineOf(
  { time_to_live_seconds: life }: RequestEntry,
  { time_limit_s: limit }: ExecuterType,
  { timeLimitMs }: JobDefaults,
): number {
  const wishes = [life, limit].flatMap((seconds) => (seconds === undefined ? [] : [seconds * 1000]));
  return Math.max(1, Math.min(timeLimitMs, ...wishes));
}

/** A stranger's text as it may stand in a sentence. */
function printable(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

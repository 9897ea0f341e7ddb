import { DEFAULT_RESOURCES, MEBIBYTE, type TaskResources } from "../../core/index.ts";

/** A field of a request that cannot be honoured; `message` names it. */
export class FieldFault {
  readonly message: string;

  constructor(field: string, rule: string) {
    this.message = `${field} must be ${rule}`;
  }
}

type Fields = Readonly<Record<string, unknown>>;

const LARGEST_CPU = 10_000;
const LARGEST_MEM_MB = 2 ** 33 - 1;
const LARGEST_GPU_COUNT = 1024;

/**
 * Reads what a request wants: `resource` (a task's `config.json` may have wrapped it once more), and the GPU fields that
 * one client sends beside it. Nothing said, or 0, means the default, for cpu and mem each on its own.
 */
export function readResources(request: Fields): TaskResources | FieldFault {
  const resource = readResource(request["resource"]);
  if (resource instanceof FieldFault) return resource;
  const cpu = readNumber(resource, "cpu", isCpu, "a number of cores above 0 with at most one decimal");
  if (cpu instanceof FieldFault) return cpu;
  const mem = readNumber(resource, "mem", isMem, "a whole number of megabytes above 0");
  if (mem instanceof FieldFault) return mem;
  const gpus = readGpus(resource, request);
  if (gpus instanceof FieldFault) return gpus;
  return {
    cpuMillis: cpu === 0 ? DEFAULT_RESOURCES.cpuMillis : Math.round(cpu * 1000),
    memoryBytes: mem === 0 ? DEFAULT_RESOURCES.memoryBytes : mem * MEBIBYTE,
    ...gpus,
  };
}

/** A field that is absent and one that is `null` are the same. */
export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a flag under either of its spellings. */
export function readFlag(
  fields: Fields,
  names: readonly string[],
  prefix: string,
): boolean | FieldFault | undefined {
  let flag: boolean | undefined;
  for (const name of names) {
    const value = fields[name];
    if (isAbsent(value)) continue;
    if (typeof value !== "boolean") return new FieldFault(prefix + name, "true or false");
    flag = flag === true || value;
  }
  return flag;
}

function readResource(value: unknown): Fields | FieldFault {
  if (isAbsent(value)) return {};
  if (!isFields(value)) return new FieldFault("resource", "an object");
  const inner = value["resource"];
  if (isAbsent(inner)) return value;
  return isFields(inner) ? inner : new FieldFault("resource.resource", "an object");
}

function readNumber(
  resource: Fields,
  name: string,
  isRight: (value: number) => boolean,
  rule: string,
): number | FieldFault {
  const value = resource[name];
  if (isAbsent(value)) return 0;
  if (typeof value !== "number" || !isRight(value)) return new FieldFault(`resource.${name}`, rule);
  return value;
}

function isCpu(value: number): boolean {
  return value >= 0 && value <= LARGEST_CPU && Number(value.toFixed(1)) === value;
}

function isMem(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= LARGEST_MEM_MB;
}

/** A wish for GPUs is one for at least one; a plain "no" outweighs a count. */
function readGpus(
  resource: Fields,
  request: Fields,
): Pick<TaskResources, "gpuCount" | "gpuMemoryBytes"> | FieldFault {
  const places = [[resource, "resource."] as const, [request, ""] as const];
  const wishes: (boolean | undefined)[] = [];
  for (const [fields, prefix] of places) {
    const flag = readFlag(fields, ["use_gpu", "useGpu"], prefix);
    if (flag instanceof FieldFault) return flag;
    wishes.push(flag);
  }
  const isCount = (value: number): boolean =>
    Number.isInteger(value) && value >= 0 && value <= LARGEST_GPU_COUNT;
  const count = readEither(places, ["gpu_count", "gpuCount"], isCount, "a whole number from 0 on");
  if (count instanceof FieldFault) return count;
  const memory = readEither(places, ["gpu_mem", "gpuMem"], isMem, "a whole number of megabytes from 0 on");
  if (memory instanceof FieldFault) return memory;
  const isWanted = wishes.includes(true) || (!wishes.includes(false) && count > 0);
  // Memory of no card is nothing: it must not make another key of the same task.
  if (!isWanted) return { gpuCount: 0, gpuMemoryBytes: 0 };
  return { gpuCount: Math.max(1, count), gpuMemoryBytes: memory * MEBIBYTE };
}

/** The first number above 0 under any of its names and in any of its places; 0 when there is none. */
function readEither(
  places: readonly (readonly [fields: Fields, prefix: string])[],
  names: readonly string[],
  isRight: (value: number) => boolean,
  rule: string,
): number | FieldFault {
  let first = 0;
  for (const [fields, prefix] of places) {
    for (const name of names) {
      const value = fields[name];
      if (isAbsent(value)) continue;
      if (typeof value !== "number" || !isRight(value)) return new FieldFault(prefix + name, rule);
      if (first === 0) first = value;
    }
  }
  return first;
}

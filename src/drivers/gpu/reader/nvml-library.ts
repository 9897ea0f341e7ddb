import type { LibraryHandle } from "koffi";

/**
 * The part of NVML that is read here, as C functions: numbers in, a return code out, results in the caller's buffers. What is
 * newer than the installed driver is `undefined`; `_v2` and `_v3` come before the older forms, whose structures differ.
 *
 * @see NVML API Reference; the order of versions is that of go-nvml.
 */
export interface NvmlLibrary {
  readonly init: Call;
  readonly errorString: (code: number) => string;
  readonly deviceCount: Call;
  readonly handleByIndex: Call;
  readonly uuid: Call;
  readonly name: Call;
  readonly driverVersion: Call | undefined;
  readonly minorNumber: Call | undefined;
  readonly pciInfo: Versioned | undefined;
  readonly memoryInfo: Versioned | undefined;
  readonly utilization: Call | undefined;
  readonly migMode: Call | undefined;
  readonly computeProcesses: Versioned | undefined;
  readonly graphicsProcesses: Versioned | undefined;
  readonly totalEccErrors: Call | undefined;
  readonly remappedRows: Call | undefined;
  readonly pagesPending: Call | undefined;
  readonly events: EventCalls | undefined;
}

/** A function of the library: plain numbers, handles as addresses, buffers. */
export type Call = (...args: readonly (number | bigint | Buffer)[]) => number;

export interface Versioned {
  readonly version: 1 | 2 | 3;
  readonly call: Call;
}

export interface EventCalls {
  readonly create: Call;
  readonly register: Call;
  readonly wait: Call;
}

const DEFAULT_LIBRARY = "libnvidia-ml.so.1";

/**
 * Loads it from where the dynamic linker looks (`LD_LIBRARY_PATH` included), or from `HEARTH_NVML_LIBRARY`, which is for
 * drivers in odd places and for tests.
 *
 * @throws Error if koffi, the library or one of its oldest functions is not there.
 */
export async function loadNvml(env: Readonly<Record<string, string | undefined>>): Promise<NvmlLibrary> {
  const { default: koffi } = await import("koffi").catch((cause: unknown) => {
    throw new Error("the package koffi, which NVML is called through, is not installed", { cause });
  });
  const path = env["HEARTH_NVML_LIBRARY"] || DEFAULT_LIBRARY;
  const library = attempt(
    () => koffi.load(path),
    (cause) => explainLoad(path, cause),
  );
  return declare(library);
}

/** What is not asked for by `must` may be newer than the installed driver. */
function finder(library: LibraryHandle) {
  const must = (name: string, parameters: string): Call => library.func(`int ${name}(${parameters})`);
  const may = (name: string, parameters: string): Call | undefined => {
    try {
      return must(name, parameters);
    } catch {
      return undefined;
    }
  };
  const newest = (
    name: string,
    parameters: string,
    versions: readonly (1 | 2 | 3)[],
  ): Versioned | undefined => {
    for (const version of versions) {
      const call = may(version === 1 ? name : `${name}_v${version}`, parameters);
      if (call !== undefined) return { version, call };
    }
    return undefined;
  };
  return { must, may, newest };
}

function declare(library: LibraryHandle): NvmlLibrary {
  const { must, may, newest } = finder(library);
  const device = "void *device, void *out";
  const list = "void *device, void *count, void *infos";
  const text = "void *device, void *text, unsigned int length";
  const create = may("nvmlEventSetCreate", "void *set");
  const register = may("nvmlDeviceRegisterEvents", "void *device, uint64_t types, void *set");
  const wait = newest("nvmlEventSetWait", "void *set, void *data, unsigned int timeoutMs", [2, 1])?.call;
  return {
    init: may("nvmlInit_v2", "") ?? must("nvmlInit", ""),
    errorString: library.func("const char *nvmlErrorString(int)"),
    deviceCount: may("nvmlDeviceGetCount_v2", "void *count") ?? must("nvmlDeviceGetCount", "void *count"),
    handleByIndex:
      may("nvmlDeviceGetHandleByIndex_v2", "unsigned int index, void *device") ??
      must("nvmlDeviceGetHandleByIndex", "unsigned int index, void *device"),
    uuid: must("nvmlDeviceGetUUID", text),
    name: must("nvmlDeviceGetName", text),
    driverVersion: may("nvmlSystemGetDriverVersion", "void *text, unsigned int length"),
    minorNumber: may("nvmlDeviceGetMinorNumber", device),
    pciInfo: newest("nvmlDeviceGetPciInfo", device, [3, 2, 1]),
    memoryInfo: newest("nvmlDeviceGetMemoryInfo", device, [2, 1]),
    utilization: may("nvmlDeviceGetUtilizationRates", device),
    migMode: may("nvmlDeviceGetMigMode", "void *device, void *current, void *pending"),
    computeProcesses: newest("nvmlDeviceGetComputeRunningProcesses", list, [3, 2, 1]),
    graphicsProcesses: newest("nvmlDeviceGetGraphicsRunningProcesses", list, [3, 2, 1]),
    totalEccErrors: may("nvmlDeviceGetTotalEccErrors", "void *device, int type, int counter, void *count"),
    remappedRows: may(
      "nvmlDeviceGetRemappedRows",
      "void *device, void *correctable, void *uncorrectable, void *isPending, void *hasFailed",
    ),
    pagesPending: may("nvmlDeviceGetRetiredPagesPendingStatus", device),
    events:
      create === undefined || register === undefined || wait === undefined
        ? undefined
        : { create, register, wait },
  };
}

function explainLoad(path: string, cause: unknown): Error {
  const words = cause instanceof Error ? cause.message : String(cause);
  const why = words.includes("No such file") ? "is not there" : `cannot be loaded: ${words}`;
  return new Error(`NVIDIA's library ${path} ${why}`, { cause });
}

function attempt<T>(work: () => T, explain: (cause: unknown) => Error): T {
  try {
    return work();
  } catch (cause) {
    throw explain(cause);
  }
}

import type { JobSandboxSpec, WorkerSpec } from "../../../core/index.ts";
import { ExecutorError, jobRefusal } from "../../../core/index.ts";

declare const checked: unique symbol;
/** A path that only {@link workMount} makes. */
type CheckedPath = string & { readonly [checked]: true };

/** A job's work folder, as the only thing of the host that it sees. */
export interface WorkMount {
  /** By the engine's newer way of asking, which refuses a folder that is not there instead of making one. */
  readonly Type: "bind";
  readonly Source: CheckedPath;
  readonly Target: CheckedPath;
  readonly ReadOnly: false;
}

/**
 * The mount of one folder right under the operator's shared folder.
 *
 * @throws {@link ExecutorError} SANDBOX_START_FAILED when it, or anything else about the job, is not as it must be.
 */
export function workMount(spec: JobSandboxSpec): WorkMount {
  const refusal = jobRefusal(spec);
  if (refusal !== undefined) throw refusal;
  const { hostPath, target } = spec.workDir;
  return { Type: "bind", Source: hostPath as CheckedPath, Target: target as CheckedPath, ReadOnly: false };
}

/** A folder of the operator's configuration that a worker sees. */
export interface WorkerMount {
  readonly Type: "bind";
  readonly Source: CheckedPath;
  readonly Target: CheckedPath;
  readonly ReadOnly: boolean;
}

/** @throws {@link ExecutorError} SANDBOX_START_FAILED for a name that is no plain absolute path. */
export function workerMounts({ task, binds }: Pick<WorkerSpec, "task" | "binds">): readonly WorkerMount[] {
  return binds.map(({ source, target, isReadOnly }) => {
    const crooked = [source, target].find((path) => !isPlainPath(path));
    if (crooked !== undefined) {
      const reason = `workers cannot be shown ${JSON.stringify(crooked)}: it is no plain absolute path below /`;
      throw new ExecutorError("SANDBOX_START_FAILED", { image: task.image, reason });
    }
    return {
      Type: "bind",
      Source: source as CheckedPath,
      Target: target as CheckedPath,
      ReadOnly: isReadOnly,
    };
  });
}

/** Absolute, below the root, and without a part that leads elsewhere. */
function isPlainPath(path: string): boolean {
  const [first, ...parts] = path.split("/");
  return first === "" && !path.includes("\0") && parts.every((part) => !["", ".", ".."].includes(part));
}

/** The folder that a helper of ours is for. */
export interface HelperMount {
  readonly Type: "bind";
  readonly Source: string;
  readonly Target: "/work";
  readonly ReadOnly: boolean;
}

export function helperMount(hostPath: string, isReadOnly: boolean): HelperMount {
  return { Type: "bind", Source: hostPath, Target: "/work", ReadOnly: isReadOnly };
}

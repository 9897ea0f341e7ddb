import type { CallQuery } from "../../../contract/v1/calls.ts";
import type { SessionId, TaskResources, TaskSpec } from "../../../core/index.ts";
import { asId, DEFAULT_RESOURCES, MEBIBYTE, withSgx } from "../../../core/index.ts";
import type { Executor, SessionWish } from "../../../engine/executor.ts";

/** What of a wish says which task is meant. */
export type TaskWish = Pick<
  CallQuery,
  "image" | "cpu" | "mem" | "gpus" | "gpuMemory" | "isolation" | "network" | "sgx" | "session"
>;

/**
 * The task that a call is for. In a session that is the session's own: what the wish leaves out is taken from it, and the
 * executor refuses what it says otherwise.
 *
 * @throws {@link ExecutorError} SESSION_NOT_FOUND, SESSION_ENDED.
 */
export function toTask(wish: TaskWish, executor: Executor): TaskSpec {
  const joined = joinedSession(wish);
  const base = joined === undefined ? undefined : executor.session(joined).task;
  return {
    image: wish.image ?? base?.image ?? "",
    ...words(wish, base, executor),
    network: wish.network === "default" ? (base?.network ?? "default") : wish.network,
    resources: resourcesOf(wish, base?.resources ?? DEFAULT_RESOURCES),
  };
}

function resourcesOf(wish: TaskWish, given: TaskResources): TaskResources {
  const gpuCount = wish.gpus ?? given.gpuCount;
  const gpuMemoryBytes = wish.gpuMemory === undefined ? given.gpuMemoryBytes : wish.gpuMemory * MEBIBYTE;
  return {
    cpuMillis: wish.cpu === undefined ? given.cpuMillis : Math.round(wish.cpu * 1000),
    memoryBytes: wish.mem === undefined ? given.memoryBytes : wish.mem * MEBIBYTE,
    gpuCount,
    gpuMemoryBytes: gpuCount === 0 ? 0 : gpuMemoryBytes,
  };
}

/** What the executor has to know of a call's session. */
export function toSessionWish({ session }: Pick<TaskWish, "session">): SessionWish | undefined {
  if (session === undefined) return undefined;
  return session === NEW ? { type: "open" } : { type: "join", sessionId: asId<"session">(session) };
}

const NEW = "new";

function joinedSession({ session }: TaskWish): SessionId | undefined {
  return session === undefined || session === NEW ? undefined : asId<"session">(session);
}

function words(
  { sgx, isolation }: TaskWish,
  base: TaskSpec | undefined,
  executor: Executor,
): Pick<TaskSpec, "isolation" | "sgx"> {
  const isSaid = sgx || isolation !== "default";
  if (base !== undefined && !isSaid) return { isolation: base.isolation, sgx: base.sgx };
  return withSgx({ sgx, isolation: isOwn(isolation, executor) ? "default" : isolation });
}

/** Whether a class is the driver's own, which nobody has to name: whoever does meets the same warm servers. */
function isOwn(isolation: TaskWish["isolation"], executor: Executor): boolean {
  return isolation !== "default" && executor.view().classes[0]?.isolation === isolation;
}

import {
  ExecutorError,
  ISOLATION_CLASSES,
  isIsolationClass,
  isNetworkPolicy,
  NETWORK_POLICIES,
  type TaskSpec,
  withSgx,
} from "../../core/index.ts";
import { FieldFault, isAbsent, isFields, readFlag, readResources } from "./resource-wish.ts";

/** What the contract's 400 says, as a JSON string. */
export const BAD_REQUEST_TEXT = "Bad execution request";

const ID_LIMIT = 1024;

export type ExecutionRequest =
  | { readonly type: "request"; readonly task: TaskSpec; readonly input: Buffer }
  /** Not a request at all, or one with a wrong field, which `message` names: 400. */
  | { readonly type: "bad"; readonly message: string }
  /** A right request for what no host here can do: 200 with `success: false`. */
  | { readonly type: "refused"; readonly error: ExecutorError };

const NO_INPUT = Buffer.alloc(0);

/**
 * Parses the body of `POST /` (`contracts/meca.md` sections 2 and 6). Unknown fields are ignored, of a repeated one the last
 * counts, and both spellings of a name are taken.
 */
export function parseExecutionRequest(body: Buffer): ExecutionRequest {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    return { type: "bad", message: BAD_REQUEST_TEXT };
  }
  return readExecutionRequest(value);
}

/** The same for a body that is parsed already. */
export function readExecutionRequest(value: unknown): ExecutionRequest {
  if (!isFields(value)) return { type: "bad", message: BAD_REQUEST_TEXT };
  const image = value["id"];
  if (typeof image !== "string" || image === "") return { type: "bad", message: BAD_REQUEST_TEXT };
  if (image.length > ID_LIMIT) return faulty(new FieldFault("id", `at most ${ID_LIMIT} characters long`));
  const task = readTask(image, value);
  if (task instanceof FieldFault) return faulty(task);
  const input = value["input"];
  if (!isAbsent(input) && typeof input !== "string") {
    return faulty(new FieldFault("input", "a string; an object is sent as its JSON text"));
  }
  if (task instanceof ExecutorError) return { type: "refused", error: task };
  return { type: "request", task, input: isAbsent(input) ? NO_INPUT : Buffer.from(input, "utf8") };
}

function readTask(
  image: string,
  value: Readonly<Record<string, unknown>>,
): TaskSpec | FieldFault | ExecutorError {
  const resources = readResources(value);
  if (resources instanceof FieldFault) return resources;
  const sgx = readFlag(value, ["use_sgx", "useSgx"], "");
  if (sgx instanceof FieldFault) return sgx;
  const isolation = readIsolation(value["runtime"]);
  if (isolation instanceof FieldFault) return isolation;
  const network = readNetwork(value["network"]);
  if (network instanceof FieldFault) return network;
  if (isolation instanceof ExecutorError) return isolation;
  return { image, resources, network, ...withSgx({ isolation, sgx: sgx === true }) };
}

/** `container` is the contract's word for whatever this host's driver does by itself. */
function readIsolation(runtime: unknown): TaskSpec["isolation"] | FieldFault | ExecutorError {
  if (isAbsent(runtime) || runtime === "" || runtime === "container") return "default";
  if (typeof runtime !== "string") return new FieldFault("runtime", "a string");
  if (isIsolationClass(runtime)) return runtime;
  return new ExecutorError("ISOLATION_UNAVAILABLE", {
    runtime: runtime.slice(0, 100),
    reason: `runtime is one of ${ISOLATION_CLASSES.join(", ")}`,
  });
}

/** A field of our own: what the task may reach at most. */
function readNetwork(network: unknown): TaskSpec["network"] | FieldFault {
  if (isAbsent(network) || network === "" || network === "default") return "default";
  if (typeof network === "string" && isNetworkPolicy(network)) return network;
  return new FieldFault("network", `one of ${NETWORK_POLICIES.join(", ")}`);
}

function faulty(fault: FieldFault): ExecutionRequest {
  return { type: "bad", message: `${BAD_REQUEST_TEXT}: ${fault.message}` };
}

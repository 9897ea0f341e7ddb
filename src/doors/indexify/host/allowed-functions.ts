import type { MessageInitShape } from "@bufbuild/protobuf";
import { ExecutorError } from "../../../core/index.ts";
import type { AllowedFunctionSchema } from "../../../gen/executor_api_pb.js";
import type { FunctionName } from "../commands/orders.ts";

type AllowedFunction = MessageInitShape<typeof AllowedFunctionSchema>;

/**
 * Reads `namespace:application:function[:version]`. A list with a mistake in it is refused as a whole: what is left of one
 * without its bad rows may be nothing, and nothing means that everything is allowed.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID naming the row.
 */
export function allowedFunctions(rows: readonly string[]): AllowedFunction[] {
  return rows.map((row) => {
    const parts = row.split(":");
    const [namespace = "", applicationName = "", functionName = "", applicationVersion] = parts;
    if (parts.length < 3 || parts.length > 4 || parts.some((part) => part === "")) {
      const reason = `${JSON.stringify(row)} is not namespace:application:function[:version]`;
      throw new ExecutorError("CONFIG_INVALID", { field: "indexify.functions", reason });
    }
    const name = { namespace, applicationName, functionName };
    return applicationVersion === undefined ? name : { ...name, applicationVersion };
  });
}

/** Whether a function is in the list. The server places by it too, but not by its versions. */
export function isAllowed(functions: readonly AllowedFunction[], wanted: FunctionName): boolean {
  if (functions.length === 0) return true;
  return functions.some(
    ({ namespace, applicationName, functionName, applicationVersion }) =>
      namespace === wanted.namespace &&
      applicationName === wanted.application &&
      functionName === wanted.name &&
      (applicationVersion === undefined || applicationVersion === wanted.version),
  );
}

/** Whether a sandbox may run here: one belongs to no function, so that its namespace decides (`contracts/indexify.md` 8.5). */
export function isNamespaceAllowed(
  functions: readonly AllowedFunction[],
  namespace: string | undefined,
): boolean {
  return functions.length === 0 || functions.some((row) => row.namespace === namespace);
}

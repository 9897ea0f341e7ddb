import type { MessageInitShape } from "@bufbuild/protobuf";
import { ExecutorError } from "../../../core/index.ts";
import type { AllowedFunctionSchema } from "../../../gen/executor_api_pb.js";

/**
 * Reads `namespace:application:function[:version]`. A list with a mistake in it is refused as a whole: what is left of one
 * without its bad rows may be nothing, and nothing means that everything is allowed.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID naming the row.
 */
export function allowedFunctions(rows: readonly string[]): MessageInitShape<typeof AllowedFunctionSchema>[] {
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

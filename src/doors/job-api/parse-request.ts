import type * as z from "zod";
import type { Fault } from "./api-refusal.ts";
import { ApiRefusal, invalid } from "./api-refusal.ts";

/** Faults of one request that are told; the rest would only repeat. */
const FAULTS_TOLD = 32;

/** The bytes of a body as a value of the schema. @throws {@link ApiRefusal} 422, naming every field. */
export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  if (!(body instanceof Uint8Array) || body.byteLength === 0)
    throw invalid(["body"], "field required", "value_error.missing");
  return parse(schema, readJson(body), "body");
}

/** The query or the path as a value of the schema. @throws {@link ApiRefusal} 422, naming every field. */
export function parse<S extends z.ZodType>(
  schema: S,
  value: unknown,
  where: "body" | "query" | "path",
): z.output<S> {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw new ApiRefusal(
    422,
    parsed.error.issues.slice(0, FAULTS_TOLD).map((issue) => faultOf(issue, where)),
  );
}

function readJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? cause.message : "not UTF-8";
    throw new ApiRefusal(
      422,
      [{ loc: ["body"], msg: `Invalid JSON: ${reason}`, type: "value_error.jsondecode" }],
      { cause },
    );
  }
}

function faultOf(issue: z.core.$ZodIssue, where: string): Fault {
  const loc = [where, ...issue.path.map((part) => (typeof part === "number" ? part : String(part)))];
  if (issue.code === "invalid_type") {
    if (issue.input === undefined) return { loc, msg: "field required", type: "value_error.missing" };
    if (issue.input === null)
      return { loc, msg: "none is not an allowed value", type: "type_error.none.not_allowed" };
    return { loc, msg: issue.message, type: `type_error.${issue.expected}` };
  }
  if (issue.code === "invalid_value" && issue.input === undefined)
    return { loc, msg: "field required", type: "value_error.missing" };
  return { loc, msg: issue.message, type: "value_error" };
}

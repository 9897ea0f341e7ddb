import type * as z from "zod";
import { ExecutorError } from "../../../core/index.ts";

const MOST_FAULTS = 20;

/** @throws {@link ExecutorError} INPUT_INVALID. */
export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    const reason = body.length === 0 ? "the body is empty" : "the body is not JSON";
    throw new ExecutorError("INPUT_INVALID", { reason }, { cause });
  }
}

/** Holds a value against its schema. @throws {@link ExecutorError} INPUT_INVALID, naming every fault. */
export function check<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.slice(0, MOST_FAULTS).map((issue) => {
    const field = issue.path.join(".");
    return { field, text: field === "" ? issue.message : `${field}: ${issue.message}` };
  });
  throw new ExecutorError("INPUT_INVALID", {
    field: faults[0]?.field || undefined,
    reason: faults.map((fault) => fault.text).join("; "),
  });
}

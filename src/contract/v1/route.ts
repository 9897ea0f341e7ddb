import type * as z from "zod";
import type { ErrorCode } from "../../core/index.ts";

/** What a bearer token may allow. A route names the scopes of which any one is enough; none means that it is open. */
export const SCOPES = ["run", "control", "read"] as const;
export type Scope = (typeof SCOPES)[number];

/** One kind of answer that is not an error. */
export interface RouteAnswer {
  readonly description: string;
  /** Body shape per media type; a media type without a schema is free bytes or text. None at all: no body. */
  readonly content?: Readonly<Record<string, z.ZodType | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One row of the API. The door routes by it, `/openapi.json` shows it, the client's types come from the same schemas. */
export interface Route {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Parameters in braces, as OpenAPI writes them. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly tag: "calls" | "runs" | "sandboxes" | "queue" | "host" | "about";
  readonly scopes: readonly Scope[];
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** Request headers with a meaning here, and that meaning. */
  readonly headers?: Readonly<Record<string, string>>;
  /** `raw`: the route reads the body itself, as a stream. A schema: JSON is parsed and checked before the handler runs. */
  readonly body?: "raw" | z.ZodType;
  readonly answers: Readonly<Record<number, RouteAnswer>>;
  /** Errors of this route beside those that every route may have. */
  readonly problems: readonly ErrorCode[];
}

/** Errors that any route may answer. */
export const COMMON_PROBLEMS = [
  "INPUT_INVALID",
  "HOST_FORBIDDEN",
  "ORIGIN_FORBIDDEN",
  "SOURCE_FORBIDDEN",
  "CONTROL_FORBIDDEN",
  "TOKEN_REQUIRED",
  "SCOPE_MISSING",
  "ENCODING_UNSUPPORTED",
  "REQUEST_TIMEOUT",
  "INTERNAL",
] as const satisfies readonly ErrorCode[];

export const JSON_TYPE = "application/json";
export const NDJSON_TYPE = "application/x-ndjson";
export const SSE_TYPE = "text/event-stream";
export const TEXT_TYPE = "text/plain";

import type { Scope } from "../../contract/v1/route.ts";
import type { RequestContext } from "./request-context.ts";

/** What the router found in a request's target. */
export interface Target {
  readonly params: unknown;
  readonly query: unknown;
}

/** One route of the door, whichever API it belongs to. */
export interface RouteEntry {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Parameters as the router writes them: `:name`. */
  readonly url: string;
  readonly scopes: readonly Scope[];
  /** Whether it starts a call; one that is turned away before that is counted. */
  readonly startsCall: boolean;
  /** Whether `HEAD` is the same without a body. */
  readonly hasHead: boolean;
  answer(context: RequestContext, target: Target): Promise<void> | void;
}

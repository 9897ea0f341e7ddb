import type * as z from "zod";
import type { ROUTES, RouteName } from "../../../contract/v1/routes.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";

type Output<S> = S extends z.ZodType ? z.output<S> : undefined;

/** What a route was asked, checked against its schemas; a `raw` body is left to the handler. */
export interface RouteInput<N extends RouteName> {
  readonly params: (typeof ROUTES)[N] extends { readonly params: infer S } ? Output<S> : undefined;
  readonly query: (typeof ROUTES)[N] extends { readonly query: infer S } ? Output<S> : undefined;
  readonly body: (typeof ROUTES)[N] extends { readonly body: infer S } ? Output<S> : undefined;
}

/** Answers one route, or throws what is to be answered as a problem. */
export type Handler<N extends RouteName> = (
  parts: DoorParts,
  context: RequestContext,
  input: RouteInput<N>,
) => Promise<void> | void;

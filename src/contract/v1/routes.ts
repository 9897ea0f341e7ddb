import type { Route } from "./route.ts";
import { callRoutes } from "./routes/calls.ts";
import { eventRoutes } from "./routes/events.ts";
import { explainRoutes } from "./routes/explain.ts";
import { aboutRoutes, hostRoutes } from "./routes/host.ts";
import { jobRoutes } from "./routes/jobs.ts";
import { queueRoutes } from "./routes/queue.ts";
import { sandboxRoutes } from "./routes/sandboxes.ts";
import { sessionRoutes } from "./routes/sessions.ts";

/** Every route under `/v1`, and the description of them. */
export const ROUTES = {
  ...callRoutes,
  ...explainRoutes,
  ...sandboxRoutes,
  ...sessionRoutes,
  ...jobRoutes,
  ...queueRoutes,
  ...hostRoutes,
  ...eventRoutes,
  ...aboutRoutes,
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof ROUTES;

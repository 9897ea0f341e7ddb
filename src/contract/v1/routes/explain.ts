import { explainWish, verdict } from "../explain.ts";
import type { Route } from "../route.ts";
import { JSON_TYPE } from "../route.ts";

export const explainRoutes = {
  explain: {
    method: "POST",
    path: "/v1/explain",
    tag: "calls",
    summary: "Say what would become of a call, and why",
    description: "Nothing is started, booked or changed by asking.",
    scopes: ["run", "read"],
    body: explainWish,
    answers: { 200: { description: "The verdict.", content: { [JSON_TYPE]: verdict } } },
    problems: ["INPUT_INVALID", "MEDIA_TYPE_UNSUPPORTED"],
  },
} as const satisfies Record<string, Route>;

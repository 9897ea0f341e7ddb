import * as z from "zod";
import { ERRORS } from "../../core/index.ts";
import { statusOf } from "../problem.ts";
import { problem } from "./problem.ts";
import { apiSchemas } from "./registry.ts";
import type { Route, RouteAnswer } from "./route.ts";
import { COMMON_PROBLEMS, JSON_TYPE } from "./route.ts";
import { ROUTES } from "./routes.ts";

type Json = Record<string, unknown>;

const PROBLEM_CONTENT = { "application/problem+json": { schema: ref(problem) } };

/** The API as an OpenAPI 3.1 document, from the same table that the door routes by. */
export function describeApi(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const [name, route] of Object.entries<Route>(ROUTES)) {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = describeRoute(name, route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Hearth",
      version,
      description:
        "Runs offloaded tasks in isolated, capped sandboxes that stay warm. The paths of the MECAnywhere contract (`/`, `/stats`, `/health`, `/pause`, `/unpause`, `/update-config`, `/stop`) are served beside these.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    tags: ["calls", "runs", "sandboxes", "queue", "host", "about"].map((name) => ({ name })),
    paths,
    components: { schemas: schemas(), securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
  };
}

function describeRoute(name: string, route: Route): Json {
  return {
    operationId: name,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    // Tokens are optional: without one configured, none is wanted.
    security: route.scopes.length === 0 ? [] : [{}, { bearer: [] }],
    ...(route.scopes.length === 0 ? {} : { "x-hearth-scopes": [...route.scopes] }),
    ...withParameters(route),
    ...withBody(route),
    responses: { ...answersOf(route), ...problemsOf(route) },
  };
}

function withParameters(route: Route): Json {
  const headers = Object.entries(route.headers ?? {}).map(([name, description]) => ({
    name,
    in: "header",
    description,
    schema: { type: "string" },
  }));
  const parameters = [...fieldsOf(route.params, "path"), ...fieldsOf(route.query, "query"), ...headers];
  return parameters.length === 0 ? {} : { parameters };
}

function fieldsOf(fields: z.ZodObject | undefined, place: "path" | "query"): Json[] {
  if (fields === undefined) return [];
  // What a parameter means is what it becomes: `cpu=0.5` is a number. What may be left out is what is sent.
  const { properties = {} } = inline(fields, "output") as { properties?: Record<string, Json> };
  const { required = [] } = inline(fields) as { required?: readonly string[] };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: place,
    ...(place === "path" || required.includes(name) ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    schema,
  }));
}

function withBody({ body }: Route): Json {
  if (body === undefined) return {};
  if (body === "raw") {
    return {
      requestBody: { description: "The task's input, of any type.", content: { "*/*": { schema: {} } } },
    };
  }
  return { requestBody: { required: true, content: { [JSON_TYPE]: { schema: ref(body) } } } };
}

function answersOf({ answers }: Route): Json {
  return Object.fromEntries(
    Object.entries(answers).map(([status, answer]) => [status, describeAnswer(answer)]),
  );
}

function describeAnswer({ description, content, headers }: RouteAnswer): Json {
  const bodies = Object.entries(content ?? {}).map(([type, schema]) => [
    type,
    schema === undefined ? {} : { schema: ref(schema) },
  ]);
  const heads = Object.entries(headers ?? {}).map(([name, text]) => [
    name,
    { description: text, schema: { type: "string" } },
  ]);
  return {
    description,
    ...(heads.length === 0 ? {} : { headers: Object.fromEntries(heads) as Json }),
    ...(bodies.length === 0 ? {} : { content: Object.fromEntries(bodies) as Json }),
  };
}

/** One entry per status, naming the codes behind it. */
function problemsOf({ problems }: Route): Json {
  const byStatus = new Map<number, string[]>();
  for (const code of [...problems, ...COMMON_PROBLEMS]) {
    const lines = byStatus.get(statusOf(code)) ?? [];
    lines.push(`\`${code}\`: ${ERRORS[code].text}`);
    byStatus.set(statusOf(code), lines);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, lines]) => [
      status,
      { description: lines.join("\n\n"), content: PROBLEM_CONTENT },
    ]),
  );
}

/** A named schema by its name, any other one in place. */
function ref(schema: z.ZodType): Json {
  const name = apiSchemas.get(schema)?.id;
  return name === undefined ? inline(schema) : { $ref: `#/components/schemas/${name}` };
}

function inline(schema: z.ZodType, io: "input" | "output" = "input"): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json;
  return rest;
}

function schemas(): Json {
  const made = z.toJSONSchema(apiSchemas, {
    io: "input",
    unrepresentable: "any",
    uri: (id) => `#/components/schemas/${id}`,
  }).schemas as Record<string, Json>;
  return Object.fromEntries(
    Object.entries(made).map(([name, { $schema: _schema, $id: _id, ...schema }]) => [name, schema]),
  );
}

import * as z from "zod";

/** The schemas that `/openapi.json` shows by name. An own registry, so that no other part's schemas slip in. */
export const apiSchemas = z.registry<{ id: string; description?: string }>();

/** Names a schema in the API's description. */
export function named<S extends z.ZodType>(id: string, description: string, schema: S): S {
  apiSchemas.add(schema, { id, description });
  return schema;
}

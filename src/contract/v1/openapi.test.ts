import { expect, test } from "vitest";
import { describeApi } from "./openapi.ts";
import { ROUTES } from "./routes.ts";

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
  }[];
  readonly responses: Readonly<Record<string, unknown>>;
}

const document = describeApi("1.2.3") as {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
};
const operations = Object.values(document.paths).flatMap((path) => Object.values(path));

test("the description has every route once, under its own name", () => {
  expect([document.openapi, document.info.version]).toEqual(["3.1.0", "1.2.3"]);
  expect(operations.map(({ operationId }) => operationId).sort()).toEqual(Object.keys(ROUTES).sort());
});

test("every reference leads to a schema, and every schema is referred to", () => {
  const text = JSON.stringify(document);
  const referred = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1]));
  expect([...referred].sort()).toEqual(Object.keys(document.components.schemas).sort());
});

test("each parameter in a path is declared, and required", () => {
  for (const [path, methods] of Object.entries(document.paths)) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    for (const { parameters = [] } of Object.values(methods)) {
      const declared = parameters.filter((parameter) => parameter.in === "path");
      expect(declared.map(({ name }) => name)).toEqual(inPath);
      expect(declared.every(({ required }) => required === true)).toBe(true);
    }
  }
});

test("query parameters are described by what they mean", () => {
  const schemas = new Map(
    document.paths["/v1/calls"]?.["post"]?.parameters?.map((parameter) => [parameter.name, parameter]),
  );
  expect(schemas.get("cpu")).toMatchObject({ in: "query", schema: { type: "number", minimum: 0.1 } });
  expect(schemas.get("sgx")).toMatchObject({ in: "query", schema: { type: "boolean" } });
  // In a session its task may be left out.
  expect([schemas.get("image")?.required, schemas.get("isolation")?.required]).toEqual([
    undefined,
    undefined,
  ]);
  const attested = document.paths["/v1/attest"]?.["post"]?.parameters;
  expect(attested?.find(({ name }) => name === "image")?.required).toBe(true);
});

test("no schema carries the bounds of a JavaScript number as if they were the API's", () => {
  expect(JSON.stringify(document).includes("9007199254740991")).toBe(false);
});

test("every route names at least one answer and the problems it may have", () => {
  for (const { operationId, responses } of operations) {
    const statuses = Object.keys(responses).map(Number);
    expect(
      statuses.some((status) => status < 300),
      operationId,
    ).toBe(true);
    expect(
      statuses.some((status) => status >= 400),
      operationId,
    ).toBe(true);
  }
});

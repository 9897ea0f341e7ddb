import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ROUTES } from "../../src/contract/v1/routes.ts";

const page = readFileSync(new URL("../../docs/http-api.md", import.meta.url), "utf8");

describe("docs/http-api.md", () => {
  test("its table has every route of /v1 with its scopes, and no other", () => {
    const table = page.slice(page.indexOf("<!-- routes:"), page.indexOf("<!-- end of routes -->"));
    const documented = [...table.matchAll(/^\| `([A-Z]+ [^`]+)` \| .+ \| ([a-z, ]*) ?\|$/gm)].map(
      ([, route, scopes]) => `${route} [${(scopes ?? "").trim()}]`,
    );
    const real = Object.values(ROUTES).map(
      ({ method, path, scopes }) => `${method} ${path} [${scopes.join(", ")}]`,
    );
    expect(documented.sort()).toEqual(real.sort());
  });

  test("it names every header that a call's answer may carry", () => {
    for (const header of Object.keys(ROUTES.call.answers[200].headers)) expect(page).toContain(`\`${header}`);
  });
});

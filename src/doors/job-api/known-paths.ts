import type { FastifyInstance } from "fastify";

/** Which methods a path takes, so that another one is told which. */
export interface KnownPaths {
  /** @returns in order; none for a path that nobody knows. */
  methodsOf(url: string): readonly string[];
}

/** Notes every route that is added from now on. */
export function knownPaths(app: FastifyInstance): KnownPaths {
  const routes: { readonly path: RegExp; readonly methods: readonly string[] }[] = [];
  app.addHook("onRoute", ({ url, method }) => {
    // Our patterns are plain names and `:parameters`.
    const path = new RegExp(`^${url.replace(/:[^/]+/g, "[^/]+")}$`);
    routes.push({ path, methods: [method].flat() });
  });
  return {
    methodsOf(url) {
      const path = url.split("?", 1)[0] ?? "";
      const found = routes.filter((route) => route.path.test(path)).flatMap(({ methods }) => methods);
      return [...new Set(found)].sort();
    },
  };
}

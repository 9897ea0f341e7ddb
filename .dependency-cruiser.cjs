/**
 * The direction between the folders of `src/`, and what the page in `web/` may use, checked by `npm run direction`.
 *
 * What calls us is a door, what we call is a driver; both depend on the core and never on each other. Only `serve.ts` and
 * `main.ts` know every part. A folder that is not in the table may be imported by nobody, so a new one starts with a row here.
 */
const MAY_IMPORT = {
  core: [],
  gen: [],
  std: ["core"],
  contract: ["core"],
  telemetry: ["core"],
  engine: ["core", "std", "telemetry"],
  drivers: ["core", "std", "contract", "telemetry", "gen"],
  doors: ["core", "std", "contract", "telemetry", "engine", "gen"],
  client: ["core", "contract"],
  cli: ["core", "std", "contract", "client"],
  config: ["core", "contract"],
};

/** A library has one home: replacing it is then a change in one folder. */
const HOMES = {
  dockerode: ["drivers/docker"],
  fastify: ["doors"],
  "@fastify/busboy": ["doors"],
  commander: ["cli"],
  pino: ["telemetry"],
  yaml: ["config", "cli"],
  zod: ["contract", "config", "doors", "drivers"],
  libsql: ["drivers"],
  "@redis/client": ["drivers"],
  koffi: ["drivers"],
  "prom-client": ["telemetry"],
  "@opentelemetry": ["telemetry"],
  yauzl: ["std"],
  "@aws-sdk": ["drivers"],
  "@google-cloud": ["drivers"],
  "@grpc/grpc-js": ["std/grpc"],
  "@bufbuild/protobuf": ["gen", "std/grpc", "doors/indexify"],
};

const TESTS = "\\.test\\.ts$";
const folders = Object.keys(MAY_IMPORT);

const directions = folders.map((folder) => ({
  name: `${folder}-imports-only-${["itself", ...MAY_IMPORT[folder]].join("-")}`,
  severity: "error",
  from: { path: `^src/${folder}/`, pathNot: TESTS },
  to: { path: "^src/", pathNot: `^src/(${[folder, ...MAY_IMPORT[folder]].join("|")})/` },
}));

/** Sibling implementations of one port share nothing but the port. */
const siblings = ["drivers", "doors"].map((folder) => ({
  name: `no-${folder.slice(0, -1)}-imports-another`,
  severity: "error",
  from: { path: `^src/${folder}/([^/]+)/`, pathNot: TESTS },
  to: { path: `^src/${folder}/[^/]+/`, pathNot: `^src/${folder}/$1/` },
}));

const homes = Object.entries(HOMES).map(([library, where]) => ({
  name: `${library}-stays-in-${where.join("-").replace("/", "-")}`,
  severity: "error",
  from: { path: "^src/", pathNot: [`^src/(${where.join("|")})/`, TESTS] },
  to: { path: `node_modules/(@types/)?${library}(/|$)` },
}));

module.exports = {
  forbidden: [
    ...directions,
    ...siblings,
    ...homes,
    {
      name: "the-core-is-pure",
      comment: "no platform module and no library: the core decides, and others act",
      severity: "error",
      from: { path: "^src/core/", pathNot: TESTS },
      to: { dependencyTypes: ["core", "npm", "npm-dev", "npm-optional", "npm-peer"] },
    },
    {
      name: "the-client-runs-anywhere",
      comment: "the exported client runs in a browser too",
      severity: "error",
      from: { path: "^src/client/", pathNot: TESTS },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "one-registry",
      comment: "all metrics are rows of one table, in one registry; a second one would show half of them",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/telemetry/metrics/registry\\.ts$" },
      to: { path: "node_modules/prom-client(/|$)" },
    },
    {
      name: "one-registry-is-opened-once",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/telemetry/metrics/", "^src/open-monitor\\.ts$"] },
      to: { path: "^src/telemetry/metrics/(open-metrics|registry)\\.ts$" },
    },
    {
      name: "one-channel",
      comment: "deadlines, limits, keepalive and TLS of gRPC are decided in one module",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/std/grpc/open-channel\\.ts$" },
      to: { path: "node_modules/@grpc/grpc-js(/|$)", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "one-channel-for-each-peer",
      comment: "the server's is opened where the door is, a worker's by its client: nobody else dials",
      severity: "error",
      from: {
        path: "^src/",
        pathNot: ["^src/open-indexify\\.ts$", "^src/doors/indexify/[^/]+/[^/]+-client\\.ts$"],
      },
      to: { path: "^src/std/grpc/open-channel\\.ts$", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "the-page-uses-only-the-client",
      comment: "the dashboard reaches the daemon as any other program does",
      severity: "error",
      from: { path: "^web/", pathNot: TESTS },
      to: { path: "^src/", pathNot: "^src/client/" },
    },
    {
      name: "the-page-is-small",
      comment: "what it is built of travels to every reader",
      severity: "error",
      from: { path: "^web/", pathNot: TESTS },
      to: { path: "node_modules/", pathNot: "node_modules/(preact|@preact/signals|uplot)/" },
    },
    {
      name: "no-circular",
      comment: "a cycle of types alone is erased; one of values decides by chance which file runs first",
      severity: "error",
      from: { path: "^(src|web)/" },
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "no-test-code-in-the-product",
      severity: "error",
      from: { path: "^src/", pathNot: TESTS },
      to: { path: `(^test/|${TESTS})` },
    },
    {
      name: "nothing-undeclared",
      severity: "error",
      from: { path: "^src/", pathNot: TESTS },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "unknown", "undetermined"] },
    },
    {
      name: "nothing-unresolved",
      severity: "error",
      from: { path: "^src/" },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(out|dist)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
    cache: false,
  },
};

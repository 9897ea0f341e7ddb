/**
 * Leaves out of the bundle what our dependencies can do and we never ask of them. Each line of the tables costs memory in an
 * idle daemon otherwise (`docs/adr/0003-dockerode-behind-a-port.md` has the figures).
 */

/** dockerode: engines over SSH, BuildKit sessions over gRPC, packing of build contexts. gRPC: services read from `.proto` files. */
const UNUSED_MODULES = [
  "ssh2",
  "cpu-features",
  "@grpc/grpc-js",
  "@grpc/proto-loader",
  "protobufjs",
  "tar-fs",
  "@balena/dockerignore",
];

/** zod: error texts in fifty languages; ours are English. */
const ZOD_LOCALES = /zod[\\/]v4[\\/]locales[\\/]index\.js$/;

/** Says at once, and by name, that a stub was reached. */
const stubOf = (name) => `
const absent = () => { throw new Error(${JSON.stringify(`${name} is not part of this build`)}); };
module.exports = new Proxy(function () {}, {
  get: (_, key) => (key === "__esModule" || typeof key === "symbol" ? undefined : absent),
  apply: absent,
  construct: absent,
});
`;

const isOurs = (importer) => /[\\/]src[\\/]/.test(importer) && !/[\\/]node_modules[\\/]/.test(importer);

/** @type {import("esbuild").Plugin} */
export const slimDependencies = {
  name: "slim-dependencies",
  setup(build) {
    const isUnused = new RegExp(`^(${UNUSED_MODULES.join("|")})$`);
    // What we ask for ourselves we use: gRPC, of the Indexify door.
    build.onResolve({ filter: isUnused }, ({ path, importer }) =>
      isOurs(importer) ? undefined : { path, namespace: "unused" },
    );
    build.onLoad({ filter: /.*/, namespace: "unused" }, ({ path }) => ({ contents: stubOf(path) }));
    build.onLoad({ filter: ZOD_LOCALES }, () => ({ contents: 'export { default as en } from "./en.js";' }));
  },
};

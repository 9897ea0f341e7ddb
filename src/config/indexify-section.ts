import { isAbsolute, normalize } from "node:path";
import { NETWORK_POLICIES, RUNTIME_CLASSES } from "../core/index.ts";
import { choice, list, number, section, text, toggle, whole } from "./leaf.ts";

const MEBIBYTE_MB = 1024 * 1024;

const tls = section("TLS to the Indexify server; `https://` in `server_addr` turns it on.", {
  ca: text("", {
    isPath: true,
    defaultText: "what the system trusts",
    about: "A file with the certificates that sign the server's.",
  }),
  cert: text("", { isPath: true, about: "A file with this host's own certificate." }),
  key: text("", { isPath: true, about: "A file with the key of that certificate." }),
  name: text("", { about: "The name in the server's certificate, where it is not the address's." }),
});

const resources = section(
  "What the server is told of this host's size, instead of what is found; more than the daemon may use is not told.",
  {
    cpu: whole({
      default: 0,
      min: 0,
      max: 4096,
      unit: "cores",
      defaultText: "`cpu` without the other doors' shares",
      about: "Cores for workers.",
    }),
    mem: whole({
      default: 0,
      min: 0,
      max: 64 * MEBIBYTE_MB,
      unit: "MB",
      defaultText: "`mem` without the other doors' shares",
      about: "Memory for workers.",
    }),
    disk: whole({
      default: 0,
      min: 0,
      max: 4096 * MEBIBYTE_MB,
      unit: "MB",
      defaultText: "the size of the file system that holds `state_dir`",
      about: "Disk for workers.",
    }),
  },
);

const proxy = section(
  "What brings requests to the sandboxes of this host; it listens while the door is open.",
  {
    host: text("", {
      defaultText: "`127.0.0.1`; in our container image the container's own address",
      about: "The address to listen on.",
    }),
    port: whole({ default: 8095, min: 0, max: 65_535, about: "The port to listen on; 0 takes a free one." }),
    advertise: text(
      "",
      {
        defaultText: "`host`, or this host's name where that is every address, and the port",
        about: "Where the server reaches it, as `host:port`.",
      },
      {
        pattern: /^(|(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5})$/,
        expects: "host:port",
        isRight: hasPort,
      },
    ),
    connect_s: number({
      default: 10,
      max: 3600,
      unit: "seconds",
      about: "How long a sandbox may take to accept a connection.",
    }),
    read_s: number({
      default: 60,
      max: 86_400,
      unit: "seconds",
      about: "How long a sandbox may send nothing while it is waited for. WebSockets may be quiet for ever.",
    }),
    write_s: number({
      default: 60,
      max: 86_400,
      unit: "seconds",
      about: "How long a sandbox may take nothing of what is sent to it.",
    }),
  },
);

/** Whether the number at the end of an address is a port's; without an address it need not be. */
function hasPort(address: string): boolean {
  const port = Number(/:(\d+)\/?$/.exec(address)?.[1]);
  return address === "" || (port >= 1 && port <= 65_535);
}

/** `host:container[:ro]`, both absolute. */
const BINDS = {
  isRight: (entry: string) => parseBind(entry) !== undefined,
  expects: "a list of host:container or host:container:ro, with absolute paths",
} as const;

export const indexify = section(
  "The Indexify door: this host as an executor of an Indexify server (`docs/indexify.md`). It opens where `indexify.server_addr` is given.",
  {
    server_addr: text(
      "",
      {
        about: "The server's gRPC address, such as `http://localhost:8901`. Without one the door stays shut.",
      },
      {
        pattern: /^(|https?:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}\/?)$/,
        expects: "http://host:port or https://host:port",
        isRight: hasPort,
      },
    ),
    executor_id: text(
      "",
      { defaultText: "a UUID kept in `state_dir`", about: "What this host is called on the server." },
      { pattern: /^[A-Za-z0-9._-]{0,128}$/, expects: "up to 128 letters, digits, dots, dashes" },
    ),
    tls,
    functions: list(
      [],
      {
        defaultText: "every function",
        about: "The functions that may run here, as `namespace:application:function[:version]`.",
      },
      {
        isRight: (entry) => /^[^:]+(:[^:]+){2,3}$/.test(entry),
        expects: "a list of namespace:application:function or namespace:application:function:version",
      },
    ),
    labels: list(
      [],
      { about: "What placement rules may ask of this host, as `name=value`." },
      {
        isRight: (entry) => /^[A-Za-z0-9._/-]{1,63}=[^\s]{0,255}$/.test(entry),
        expects: "a list of name=value",
      },
    ),
    catalog_entry: text("", { about: "The server's catalog entry that this host belongs to." }),
    resources,
    function_executor: text("function-executor", {
      about:
        "The worker's program, on `PATH` or by its path: `pip install tensorlake==0.4.0` brings it. With the docker driver, in the image.",
    }),
    image: text("", { about: "The image of every worker. The docker driver needs it." }),
    binds: list(
      [],
      { about: "Folders that every worker in a container sees, `host:container[:ro]`." },
      BINDS,
    ),
    network: choice(["default", ...NETWORK_POLICIES], "default", {
      about:
        "What workers in containers may reach; `default` is `network.default`. Plain processes have the host's network.",
    }),
    isolation: choice(["default", ...RUNTIME_CLASSES], "default", {
      about:
        "The class of isolation that workers in containers and sandboxes run in; `default` is the engine's own.",
    }),
    secrets: list(
      [],
      {
        about: "Variables of the daemon's environment that functions get if they name them as their secrets.",
      },
      {
        isRight: (entry) => /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(entry),
        expects: "a list of variable names",
      },
    ),
    blob_dirs: list([], {
      isPath: true,
      defaultText: "every folder",
      about: "Folders that `file://` blobs may lie in.",
    }),
    code_cache: text("", {
      isPath: true,
      defaultText: "`indexify/code` in `state_dir`",
      about: "The folder in which the code of applications is kept.",
    }),
    code_cache_mb: whole({
      default: 1024,
      min: 1,
      max: MEBIBYTE_MB,
      unit: "MB",
      about: "What that folder may hold; what was unused for longest goes first.",
    }),
    start_s: number({
      default: 60,
      max: 3600,
      unit: "seconds",
      about: "How long a worker may take until it answers.",
    }),
    skip_health_checks: toggle(false, {
      otherEnv: ["INDEXIFY_DISABLE_FUNCTION_EXECUTOR_HEALTH_CHECKS"],
      about: "Ask no worker how it is; one that ends is noticed all the same.",
    }),
    proxy,
  },
);

/** What of the host a worker in a container sees, and where. */
export interface Bind {
  readonly source: string;
  readonly target: string;
  readonly isReadOnly: boolean;
}

/** Reads `host:container[:ro]`; `undefined` for anything else. */
export function parseBind(entry: string): Bind | undefined {
  const [source = "", target = "", mode, ...rest] = entry.split(":");
  const isPlain = (path: string): boolean => isAbsolute(path) && normalize(path) === path;
  if (!isPlain(source) || !isPlain(target) || rest.length > 0) return undefined;
  if (mode !== undefined && mode !== "ro" && mode !== "rw") return undefined;
  return { source, target, isReadOnly: mode === "ro" };
}

import { dirname, join } from "node:path";
import type { Fault, Origin } from "./fault.ts";
import { nearest, printFault } from "./fault.ts";
import { judge } from "./judge.ts";
import type { LayerOptions } from "./layers.ts";
import { readLayers, strayNames } from "./layers.ts";
import type { Env } from "./locations.ts";
import { defaultRegistryConfig, defaultStateDir } from "./locations.ts";
import type { Config } from "./schema.ts";
import { TABLE } from "./table.ts";
import type { AccessToken } from "./tokens.ts";
import { readTokens } from "./tokens.ts";
import type { Values } from "./values.ts";

export interface LoadOptions extends LayerOptions {
  readonly isRoot: boolean;
  /** Set in our container image: the address on which the container's clients reach it. */
  readonly controlAddress?: string | undefined;
  /** Folders of task folders that come with the program. */
  readonly exampleDirs?: readonly string[];
}

/** The settings in force, and where each comes from. */
export interface Loaded {
  /** Judged, with every default filled in, also those that depend on the host. */
  readonly config: Config;
  /** By setting key; what is not in here is a default. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** The file that was read, if any. */
  readonly file: string | undefined;
  /** What an operator should know: a variable that looks like ours but is none. */
  readonly warnings: readonly string[];
  /** All tokens, with their files read. */
  readonly tokens: readonly AccessToken[];
  /** What was given, for the next change to be laid over. */
  readonly values: Readonly<Values>;
}

export type LoadResult =
  | { readonly loaded: Loaded; readonly faults: readonly [] }
  | { readonly loaded: undefined; readonly faults: readonly Fault[] };

/** Reads file, environment and flags, later ones stronger. Every fault in any of them is named at once. */
export function loadConfig(options: LoadOptions): LoadResult {
  const { file, values, origins, locate, faults, warnings: unused } = readLayers(options);
  if (file === undefined && faults.length > 0) return refuse(faults);
  const judged = judge(values, locate);
  if (judged.config === undefined) return refuse([...faults, ...judged.faults]);
  const folder = file === undefined ? options.cwd : dirname(file);
  const tokens = readTokens(judged.config.http, folder, locate);
  if (faults.length + tokens.faults.length > 0) return refuse([...faults, ...tokens.faults]);
  const config = withHostDefaults(judged.config, origins, options);
  const warnings = [...unused, ...warningsAbout(options.env)];
  return { loaded: { config, origins, file, warnings, tokens: tokens.tokens, values }, faults: [] };
}

/** Each fault once, in the order of the file; those from elsewhere first. */
function refuse(faults: readonly Fault[]): LoadResult {
  const once = new Map(faults.map((fault) => [printFault(fault), fault]));
  const line = ({ origin }: Fault): number => (origin.type === "file" ? origin.line : 0);
  return { loaded: undefined, faults: [...once.values()].sort((a, b) => line(a) - line(b)) };
}

/** Fills in the defaults that no schema can know. An empty text counts as not given, and so does an empty list of task folders. */
function withHostDefaults(config: Config, origins: Map<string, Origin>, options: LoadOptions): Config {
  const typeOrigin = origins.get("type");
  const isByType = !origins.has("driver") && typeOrigin !== undefined;
  if (isByType) origins.set("driver", typeOrigin);
  const stateDir = config.state_dir === "" ? defaultStateDir(options.env, options.isRoot) : config.state_dir;
  const dirs = config.tasks.dirs;
  // Nobody has named those that stand in for it.
  if (dirs.length === 0) origins.delete("tasks.dirs");
  const ownDirs = [join(options.cwd, "tasks"), join(stateDir, "tasks"), ...(options.exampleDirs ?? [])];
  return {
    ...withAddresses(config, options.controlAddress ?? "127.0.0.1"),
    driver: isByType ? config.type : config.driver,
    state_dir: stateDir,
    tasks: { ...config.tasks, dirs: dirs.length > 0 ? dirs : ownDirs },
    docker: {
      ...config.docker,
      host: config.docker.host || "unix:///var/run/docker.sock",
      registry_config: config.docker.registry_config || defaultRegistryConfig(options.env),
    },
  };
}

/** Every door that was given no address of its own listens on the one that control is taken from. */
function withAddresses(config: Config, address: string): Config {
  return {
    ...config,
    http: { ...config.http, host: config.http.host || address },
    monitor: { ...config.monitor, host: config.monitor.host || address },
    api: { ...config.api, host: config.api.host || address },
    indexify: {
      ...config.indexify,
      proxy: { ...config.indexify.proxy, host: config.indexify.proxy.host || address },
    },
  };
}

/** Variables that belong to the command line, the start script, the image and jobs, not to the settings. */
const OTHER_VARIABLES = [
  "HEARTH_CONFIG",
  "HEARTH_HOST",
  "HEARTH_TOKEN",
  "HEARTH_TOKEN_FILE",
  "HEARTH_NODE",
  "HEARTH_SANDBOX",
  "HEARTH_IN_CONTAINER",
  "HEARTH_API_URL",
  "HEARTH_JOB_ID",
  "HEARTH_ATTEMPT",
];

function warningsAbout(env: Env): string[] {
  const known = TABLE.rows.flatMap((row) => row.env ?? []);
  return strayNames(env)
    .filter((name) => !OTHER_VARIABLES.includes(name))
    .map((name) => {
      const near = nearest(name, known);
      return `${name} sets nothing${near === undefined ? "" : `; did you mean ${near}?`}`;
    });
}

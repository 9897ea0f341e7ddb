/** The configuration file of the reference executor of an Indexify server, read as ours (`contracts/indexify.md` section 10.1). */
import { availableParallelism, totalmem } from "node:os";
import { LOG_LEVELS } from "../core/index.ts";
import type { Fault } from "./fault.ts";
import { printValue } from "./fault.ts";
import type { Env } from "./locations.ts";
import type { Values } from "./values.ts";
import { putAt, valueAt } from "./values.ts";
import type { FileLayer } from "./yaml-file.ts";

const MEBIBYTE = 1_048_576;
/** Of the host's memory, as `mem` may hold at most. */
const MEMORY_PART = 0.8;

export interface ReferenceLayer extends FileLayer {
  /** What is in the file and changes nothing here. */
  readonly warnings: readonly string[];
}

/** One key of theirs: what it is of ours, or why it is nothing here. */
interface Key {
  readonly from: string;
  readonly to?: string;
  convert?(value: unknown): unknown;
  /** Said when it is given; without one it means nothing here, and that is no loss. */
  readonly why?: string;
}

const METRICS = "metrics are served at /monitoring/metrics, and traces follow the OTEL_ variables";
const NO_POOL = "every request to a sandbox has a connection of its own";

const KEYS: readonly Key[] = [
  { from: "env" },
  { from: "executor_id", to: "indexify.executor_id" },
  { from: "server_addr", to: "indexify.server_addr" },
  { from: "tls.enabled" },
  { from: "tls.ca_cert_path", to: "indexify.tls.ca" },
  { from: "tls.client_cert_path", to: "indexify.tls.cert" },
  { from: "tls.client_key_path", to: "indexify.tls.key" },
  { from: "tls.domain_name", to: "indexify.tls.name" },
  { from: "telemetry.enable_metrics", why: METRICS },
  { from: "telemetry.endpoint", why: METRICS },
  { from: "telemetry.tracing_exporter", why: METRICS },
  { from: "telemetry.metrics_interval", why: METRICS },
  { from: "telemetry.instance_id", why: METRICS },
  { from: "function_driver.type", to: "driver", convert: driverOf },
  { from: "function_driver.address", to: "docker.host", convert: addressOf },
  { from: "function_driver.runtime", to: "runtimes", convert: runtimesOf },
  { from: "function_driver.binds", to: "indexify.binds" },
  { from: "function_driver.network", why: "every worker has a network of its own; see indexify.network" },
  { from: "function_driver.runsc_root", why: "the engine knows where its runtimes keep their state" },
  { from: "function_driver.snapshot_local_dir", why: "there are no snapshots here" },
  { from: "state_dir", to: "state_dir" },
  { from: "http_proxy.port", to: "indexify.proxy.port" },
  { from: "http_proxy.listen_addr", to: "indexify.proxy.host" },
  { from: "http_proxy.advertise_address", to: "indexify.proxy.advertise" },
  { from: "http_proxy.upstream.connection_timeout_secs", to: "indexify.proxy.connect_s" },
  { from: "http_proxy.upstream.read_timeout_secs", to: "indexify.proxy.read_s" },
  { from: "http_proxy.upstream.write_timeout_secs", to: "indexify.proxy.write_s" },
  { from: "http_proxy.upstream.idle_timeout_secs", why: NO_POOL },
  { from: "http_proxy.upstream.keepalive_idle_secs", why: NO_POOL },
  { from: "http_proxy.upstream.keepalive_interval_secs", why: NO_POOL },
  { from: "http_proxy.upstream.keepalive_count", why: NO_POOL },
  {
    from: "daemon_binary_extract_path",
    why: "sandboxes run what their image or entrypoint says, and no program beside it",
  },
  { from: "function_executor.code_cache_path", to: "indexify.code_cache" },
  { from: "function_executor.fe_binary_path", to: "indexify.function_executor" },
  { from: "function_allowlist", to: "indexify.functions" },
  { from: "labels", to: "indexify.labels", convert: labelsOf },
  { from: "monitoring.port", to: "monitor.port" },
  { from: "monitoring.listen_addr", to: "monitor.host" },
  { from: "resource_overrides.cpu_count", to: "indexify.resources.cpu" },
  { from: "resource_overrides.memory_bytes", to: "indexify.resources.mem", convert: megabytesOf },
  { from: "resource_overrides.disk_bytes", to: "indexify.resources.disk", convert: megabytesOf },
  { from: "default_function_image", to: "indexify.image" },
];

/** Their two drivers are one here, so that both sections are looked through, the functions' first. */
const DRIVER_SECTIONS = ["function_driver", "sandbox_driver"];

/** Our settings from their file, and their defaults for what it leaves out; positions stay those of the file. */
export function fromReference(file: FileLayer, env: Env): ReferenceLayer {
  const given = withFlatDriver(file.values);
  const values: Values = {};
  const origins = new Map<string, string>();
  const warnings: string[] = [];
  const faults: Fault[] = [...file.faults];
  for (const { from, to, convert, why } of KEYS) {
    const value = valueAt(given, from.split("."));
    if (value === undefined) continue;
    if (why !== undefined) warnings.push(`${from} changes nothing: ${why}`);
    if (to === undefined) continue;
    putAt(values, to.split("."), convert === undefined ? value : convert(value));
    origins.set(to, from);
  }
  settleTls(given, values);
  settleRuntime(values);
  fillDefaults(values, env);
  for (const key of unknownKeys(file.values, []))
    warnings.push(`${key} is no setting of the reference's, and changes nothing`);
  warnings.push(...driversApart(file.values));
  faults.push(...wrongTypes(file, file.values, []));
  const locate: FileLayer["locate"] = (path, wanted) => {
    const known = origins.get(path.join(".")) ?? path.join(".");
    return file.locate(known.split("."), wanted);
  };
  return { values, faults, locate, warnings };
}

/** `docker: {…}` below a driver is as good as the same keys beside its type. */
function withFlatDriver(values: Readonly<Values>): Values {
  const { function_driver: functions, sandbox_driver: sandboxes } = values;
  const flat = (section: unknown): Values => {
    const { docker, ...rest } = isGroup(section) ? section : {};
    return { ...(isGroup(docker) ? docker : {}), ...rest };
  };
  return { ...values, function_driver: { ...flat(sandboxes), ...flat(functions) } };
}

function driversApart({ function_driver: functions, sandbox_driver: sandboxes }: Readonly<Values>): string[] {
  if (!isGroup(functions) || !isGroup(sandboxes) || functions["type"] === sandboxes["type"]) return [];
  return [
    "sandbox_driver.type changes nothing: functions and sandboxes have one driver here, that of function_driver",
  ];
}

/** TLS is on by a switch there, and by the address here; files of a TLS that is off are not read. */
function settleTls(given: Readonly<Values>, values: Values): void {
  const address = valueAt(values, ["indexify", "server_addr"]);
  const isOn = valueAt(given, ["tls", "enabled"]) === true;
  if (address === undefined) {
    putAt(values, ["indexify", "server_addr"], `${isOn ? "https" : "http"}://localhost:8901`);
  } else if (isOn && typeof address === "string")
    putAt(values, ["indexify", "server_addr"], address.replace(/^http:/, "https:"));
  const settled = valueAt(values, ["indexify", "server_addr"]);
  if (!String(settled).startsWith("https:")) putAt(values, ["indexify", "tls"], {});
}

/** A runtime that is named is one that everything is to run in; nothing runs in less. */
function settleRuntime(values: Values): void {
  const [runtime] = (values["runtimes"] as readonly { readonly isolation: string }[] | undefined) ?? [];
  if (runtime !== undefined) putAt(values, ["indexify", "isolation"], runtime.isolation);
}

function fillDefaults(values: Values, env: Env): void {
  const fill = (key: string, value: unknown): void => {
    const path = key.split(".");
    if (valueAt(values, path) === undefined) putAt(values, path, value);
  };
  const level = env["RUST_LOG"]?.trim().toLowerCase();
  if ((LOG_LEVELS as readonly string[]).includes(level ?? "")) fill("log.level", level);
  fill("driver", "process");
  fill("monitor.port", 8100);
  fill("indexify.proxy.port", 8095);
  fill("indexify.proxy.host", "0.0.0.0");
  // Several executors may be started in one folder; no two of them have the same port.
  fill("state_dir", `dataplane-state/${String(valueAt(values, ["indexify", "proxy", "port"]))}`);
  // Nothing else shares the host with it, and its own API is for this host's command line alone.
  fill("http.port", 0);
  fill("cpu", valueAt(values, ["indexify", "resources", "cpu"]) ?? availableParallelism());
  fill(
    "mem",
    valueAt(values, ["indexify", "resources", "mem"]) ?? Math.floor((totalmem() * MEMORY_PART) / MEBIBYTE),
  );
  if (values["driver"] === "docker") fill("indexify.network", "egress");
}

/** A section that is no section, or a switch that is none: nothing in our settings stands for it, so that nobody else would say so. */
function wrongTypes(file: FileLayer, values: Readonly<Values>, path: readonly string[]): Fault[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const here = [...path, name];
    const wrong = (expected: string): Fault[] => [
      {
        origin: file.locate(here, "value"),
        key: here.join("."),
        message: `expected ${expected}, found ${printValue(value)}`,
      },
    ];
    if (plainKey(here) === "tls.enabled") return typeof value === "boolean" ? [] : wrong("true or false");
    if (isKnown(here) || !isSection(here)) return [];
    return isGroup(value) ? wrongTypes(file, value, here) : wrong("a group of keys");
  });
}

function unknownKeys(values: Readonly<Values>, path: readonly string[]): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const here = [...path, name];
    if (isKnown(here)) return [];
    if (!isSection(here)) return [here.join(".")];
    return isGroup(value) ? unknownKeys(value, here) : [];
  });
}

function isKnown(path: readonly string[]): boolean {
  return KEYS.some(({ from }) => from === plainKey(path));
}

function isSection(path: readonly string[]): boolean {
  const key = plainKey(path);
  return key === "function_driver" || KEYS.some(({ from }) => from.startsWith(`${key}.`));
}

/** A key of either driver, and of `docker` in it, by the one name that the table has. */
function plainKey(path: readonly string[]): string {
  const [first = "", ...rest] = path;
  if (!DRIVER_SECTIONS.includes(first)) return path.join(".");
  return ["function_driver", ...(rest[0] === "docker" ? rest.slice(1) : rest)].join(".");
}

function driverOf(type: unknown): unknown {
  return type === "fork_exec" ? "process" : type;
}

function addressOf(address: unknown): unknown {
  return typeof address === "string" && address.startsWith("/") ? `unix://${address}` : address;
}

function runtimesOf(name: unknown): unknown {
  if (name === "runc" || name === "") return undefined;
  const isolation = typeof name === "string" && /runsc|gvisor/i.test(name) ? "gvisor" : "microVM";
  return [{ name, isolation }];
}

function labelsOf(labels: unknown): unknown {
  return isGroup(labels) ? Object.entries(labels).map(([name, value]) => `${name}=${String(value)}`) : labels;
}

function megabytesOf(bytes: unknown): unknown {
  return typeof bytes === "number" ? Math.max(1, Math.floor(bytes / MEBIBYTE)) : bytes;
}

function isGroup(value: unknown): value is Values {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

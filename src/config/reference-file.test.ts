import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { printFault } from "./fault.ts";
import type { LoadOptions } from "./load.ts";
import { loadConfig } from "./load.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-reference-"));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function load(yaml: string | undefined, more: Partial<LoadOptions> = {}) {
  const configFile = yaml === undefined ? undefined : join(folder, "dataplane.yaml");
  if (configFile !== undefined) await writeFile(configFile, yaml ?? "");
  const base = {
    env: { HOME: "/nobody" },
    cwd: "/start",
    isRoot: false,
    dialect: "indexify",
    configFile,
  } as const;
  return loadConfig({ ...base, ...more });
}

async function configOf(yaml: string | undefined, more: Partial<LoadOptions> = {}) {
  const { loaded, faults } = await load(yaml, more);
  if (loaded === undefined) throw new Error(faults.map(printFault).join("; "));
  return loaded;
}

test("without a file it is what the reference is without one", async () => {
  const { config, warnings } = await configOf(undefined);
  expect(warnings).toEqual([]);
  expect(config.driver).toBe("process");
  expect(config.indexify).toMatchObject({
    server_addr: "http://localhost:8901",
    proxy: { port: 8095, host: "0.0.0.0" },
    functions: [],
  });
  expect(config.monitor.port).toBe(8100);
  expect(config.http.port).toBe(0);
  expect(config.state_dir).toBe("/start/dataplane-state/8095");
  expect(config.cpu).toBe(availableParallelism());
});

const WHOLE = `
env: production
executor_id: host-7
server_addr: http://server:8901
tls: { enabled: true, ca_cert_path: ca.pem, client_cert_path: /c.pem, client_key_path: /k.pem, domain_name: server.example }
telemetry: { enable_metrics: true }
function_driver:
  type: docker
  address: /run/docker.sock
  binds: ["/blobs:/blobs:ro"]
  runtime: runsc
sandbox_driver: { type: docker }
state_dir: /var/lib/dataplane
http_proxy: { port: 9095, listen_addr: 10.0.0.7, advertise_address: "edge:80", upstream: { connection_timeout_secs: 3, idle_timeout_secs: 5 } }
function_executor: { code_cache_path: cache, fe_binary_path: /opt/function-executor }
function_allowlist: ["n:a:f"]
labels: { region: eu, tier: 2 }
monitoring: { port: 9100, listen_addr: 127.0.0.1 }
resource_overrides: { cpu_count: 4, memory_bytes: 17179869184, disk_bytes: 1073741824 }
default_function_image: functions:1
`;

test("every key of the reference's file is read as what it is here; what is nothing here is named", async () => {
  const { config, warnings } = await configOf(WHOLE);
  expect(config).toMatchObject({
    driver: "docker",
    cpu: 4,
    mem: 16_384,
    state_dir: "/var/lib/dataplane",
    docker: { host: "unix:///run/docker.sock" },
    monitor: { port: 9100, host: "127.0.0.1" },
    runtimes: [{ name: "runsc", isolation: "gvisor" }],
    indexify: {
      executor_id: "host-7",
      server_addr: "https://server:8901",
      tls: { ca: "/start/ca.pem", cert: "/c.pem", key: "/k.pem", name: "server.example" },
      functions: ["n:a:f"],
      labels: ["region=eu", "tier=2"],
      resources: { cpu: 4, mem: 16_384, disk: 1024 },
      function_executor: "/opt/function-executor",
      image: "functions:1",
      binds: ["/blobs:/blobs:ro"],
      isolation: "gvisor",
      network: "egress",
      code_cache: "/start/cache",
      proxy: { port: 9095, host: "10.0.0.7", advertise: "edge:80", connect_s: 3 },
    },
  });
  expect(warnings.map((warning) => warning.split(" ")[0])).toEqual([
    "telemetry.enable_metrics",
    "http_proxy.upstream.idle_timeout_secs",
  ]);
});

test("unknown keys are passed over, and named: the reference's own tests write some", async () => {
  const { warnings } = await configOf(
    "driver: fork_exec\nstate_file: x\nhttp_proxy: { prot: 1 }\nfunction_driver: { type: fork_exec, colour: red }\n",
  );
  expect(warnings.map((warning) => warning.split(" ")[0])).toEqual([
    "driver",
    "state_file",
    "http_proxy.prot",
    "function_driver.colour",
  ]);
});

test("a driver's settings may stand below its name; two drivers that differ are told of", async () => {
  const { config, warnings } = await configOf(
    'function_driver: { type: docker, docker: { address: "tcp://engine:2375" } }\nsandbox_driver: { type: fork_exec }\n',
  );
  expect([config.driver, config.docker.host]).toEqual(["docker", "tcp://engine:2375"]);
  expect(warnings).toEqual([expect.stringContaining("sandbox_driver.type")]);
});

test("files of a TLS that is off are not read", async () => {
  const { config } = await configOf("tls: { enabled: false, ca_cert_path: /none }\n");
  expect(config.indexify).toMatchObject({ server_addr: "http://localhost:8901", tls: { ca: "" } });
});

test("a value that cannot be is a fault at its place in the file", async () => {
  const { faults } = await load(
    "env: local\nmonitoring:\n  port: many\nfunction_driver: { type: firecracker }\n",
  );
  expect(faults.map(printFault)).toEqual([
    expect.stringMatching(/dataplane\.yaml:3:9: monitor\.port: expected a whole number/),
    expect.stringMatching(
      /dataplane\.yaml:4:26: driver: expected one of auto, docker, process, found "?firecracker/,
    ),
  ]);
});

test("flags and variables are stronger than the file, and its -f replaces the list", async () => {
  const { config } = await configOf('function_allowlist: ["n:a:f"]\nmonitoring: { port: 9100 }\n', {
    env: {
      HOME: "/nobody",
      HEARTH_MONITOR_PORT: "9200",
      RUST_LOG: "debug",
      INDEXIFY_DISABLE_FUNCTION_EXECUTOR_HEALTH_CHECKS: "1",
    },
    flags: { "indexify.functions": "m:b:g,m:b:h:v2" },
  });
  expect(config.indexify.functions).toEqual(["m:b:g", "m:b:h:v2"]);
  expect([config.monitor.port, config.log.level, config.indexify.skip_health_checks]).toEqual([
    9200,
    "debug",
    true,
  ]);
});

test.each([
  ["server_addr: 5", "server_addr"],
  ["server_addr: {a: 1}", "server_addr"],
  ["http_proxy: 5", "http_proxy"],
  ["http_proxy: { upstream: [1] }", "http_proxy.upstream"],
  ["function_driver: { docker: yes please }", "function_driver.docker"],
  ["tls: { enabled: perhaps }", "tls.enabled"],
])("a value of the wrong type ends the start with its key: %s", async (yaml, key) => {
  const { loaded, faults } = await load(yaml);
  expect(loaded).toBeUndefined();
  expect(faults.map(printFault).join("\n")).toMatch(
    new RegExp(`^[^ ]*dataplane\\.yaml:1:[0-9]+: ([a-z]+\\.)?${key.replaceAll(".", "\\.")}: expected `),
  );
});

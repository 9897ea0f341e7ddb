import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeConfig } from "./describe.ts";
import { printFault } from "./fault.ts";
import type { Loaded, LoadOptions } from "./load.ts";
import { loadConfig } from "./load.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-config-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function options(more: Partial<LoadOptions> = {}): LoadOptions {
  return { env: { HOME: folder }, cwd: folder, isRoot: false, ...more };
}

function load(yaml: string | undefined, more: Partial<LoadOptions> = {}): Loaded {
  if (yaml !== undefined) writeFileSync(join(folder, "hearth.yaml"), yaml);
  const result = loadConfig(options(more));
  if (result.loaded === undefined) throw new Error(result.faults.map(printFault).join("\n"));
  return result.loaded;
}

function faults(yaml: string, more: Partial<LoadOptions> = {}): string[] {
  writeFileSync(join(folder, "hearth.yaml"), yaml);
  const { faults: found } = loadConfig(options(more));
  return found.map((fault) => printFault(fault).replace(`${folder}/`, ""));
}

describe("without a file", () => {
  test("M2: the limits are 4 cores, 4096 MB and one minute", () => {
    expect(load(undefined).config).toMatchObject({ cpu: 4, mem: 4096, timeout: 1, driver: "auto" });
  });

  test("the door listens on loopback, and in our image on the container's own address", () => {
    expect(load(undefined).config.http.host).toBe("127.0.0.1");
    expect(load(undefined, { controlAddress: "172.18.0.255" }).config.http.host).toBe("172.18.0.255");
    const told = { env: { HEARTH_HTTP_HOST: "0.0.0.0" }, controlAddress: "172.18.0.255" };
    expect(load(undefined, told).config.http.host).toBe("0.0.0.0");
  });

  test("state lies where the system wants it", () => {
    expect(load(undefined).config.state_dir).toBe(join(folder, ".local/state/hearth"));
    expect(load(undefined, { isRoot: true }).config.state_dir).toBe("/var/lib/hearth");
  });
});

describe("the contract's file", () => {
  test.each([
    [
      "all keys",
      "type: docker\ntimeout: 1\ncpu: 4\nmem: 4096\nhas_gpu: false\nmicroVM_runtime: kata\nsgx:\n  enable: true\n  sgx_device: /dev/sgx_enclave\n  aesmd_path: /var/run/aesmd\n",
    ],
    ["few keys", "type: docker\ntimeout: 5\n"],
    ["a key without a value", "type: docker\ncpu: 2\nmicroVM_runtime:\nsgx:\n"],
    ["quoted text", 'type: "docker"\nmicroVM_runtime: ""\n'],
    ["Windows line ends and a byte order mark", "\uFEFFtype: docker\r\ncpu: 2\r\n"],
    ["nothing but comments", "# cpu: 4\n"],
  ])("M1: a sample with %s is taken", (_name, yaml) => {
    expect(load(yaml).file).toBe(join(folder, "hearth.yaml"));
  });

  test("its booleans may be the words of YAML 1.1", () => {
    expect(load("has_gpu: yes\nsgx:\n  enable: on\n").config).toMatchObject({
      has_gpu: true,
      sgx: { enable: true },
    });
    expect(load("has_gpu: off\n").config.has_gpu).toBe(false);
  });

  test("cards may be named by index, as a number, or by UUID; nothing else names one", () => {
    expect(load("gpus: {only: [0, '2', GPU-8f0c-1]}\n").config.gpus.only).toEqual(["0", "2", "GPU-8f0c-1"]);
    expect(load("", { env: { HEARTH_GPUS_ONLY: "1,3" } }).config.gpus.only).toEqual(["1", "3"]);
    for (const wrong of ["-1", "1.5", "all", "MIG-1", "true"]) {
      expect(faults(`gpus: {only: [${wrong}]}\n`)).toHaveLength(1);
    }
  });

  test("its type names the driver unless driver does", () => {
    expect(load("type: docker\n").config.driver).toBe("docker");
    expect(load("type: docker\ndriver: process\n").config.driver).toBe("process");
    expect(load("type: docker\n", { env: { HEARTH_DRIVER: "process" } }).config.driver).toBe("process");
  });

  test("defect 4: a type that is not there stops the start", () => {
    expect(faults("type: podman\n")).toEqual([
      'hearth.yaml:1:7: type: expected one of docker, process, auto, found "podman"',
    ]);
  });
});

describe("a wrong file", () => {
  test("M1: every fault is named at once with its line, key and what was expected", () => {
    const yaml =
      "cpu: four\nmem: 1.5\ntimeout: 0\nhttp:\n  prot: 1\n  port: 70000\nqueue: 5\nhas_gpu: 'yes'\n";
    expect(faults(yaml)).toEqual([
      'hearth.yaml:1:6: cpu: expected a number above 0 up to 4096 (cores), found "four"',
      "hearth.yaml:2:6: mem: expected a whole number from 1 to 67108864 (MB), found 1.5",
      "hearth.yaml:3:10: timeout: expected a number above 0 up to 525600 (minutes), found 0",
      "hearth.yaml:5:3: http.prot: there is no such setting; did you mean http.port?",
      "hearth.yaml:6:9: http.port: expected a whole number from 0 to 65535, found 70000",
      "hearth.yaml:7:1: queue: there is no such setting; did you mean tasks.queue?",
      'hearth.yaml:8:10: has_gpu: expected true or false, found "yes"',
    ]);
  });

  test("a key given twice is a fault, beside the others", () => {
    expect(faults("cpu: 1\ncpu: 2\nmem: x\n")).toEqual([
      "hearth.yaml:2:1: cpu: this key is given twice",
      'hearth.yaml:3:6: mem: expected a whole number from 1 to 67108864 (MB), found "x"',
    ]);
  });

  test.each([
    ["cpu: [1\n", /^hearth\.yaml:\d+:\d+: not valid YAML: /],
    ["- cpu\n", /^hearth\.yaml:1:1: expected keys and values$/],
    ["cpu: !!python/object x\n", /^hearth\.yaml:1:6: not valid YAML: Unresolved tag/],
    ["http: 5\n", /^hearth\.yaml:1:7: http: expected a group of keys, found 5$/],
    [
      "http:\n  allowed_hosts: [a, 5]\n",
      /^hearth\.yaml:2:22: http\.allowed_hosts\.1: expected a text, found 5$/,
    ],
    ["a: &a [1]\nb: *c\n", /Unresolved alias/],
    ["__proto__:\n  cpu: 1\n", /^hearth\.yaml:1:1: __proto__: there is no such setting$/],
    ["---\ncpu: 1\n---\ncpu: 2\n", /^hearth\.yaml:3:1: not valid YAML: .*multiple documents/],
  ])("%j is refused with its place", (yaml, line) => {
    expect(faults(yaml).join("\n")).toMatch(line);
  });

  test("a file that was asked for and is not there, or is a folder, is a fault", () => {
    mkdirSync(join(folder, "dir.yaml"));
    expect(faults("", { configFile: "none.yaml" })).toEqual(["none.yaml:1:1: there is no such file"]);
    expect(faults("", { configFile: "dir.yaml" })[0]).toMatch(/^dir\.yaml:1:1: this is a folder/);
    expect(faults("", { env: { HEARTH_CONFIG: "none.yaml" } })).toEqual([
      "none.yaml:1:1: there is no such file",
    ]);
  });

  test("shares above the whole are a fault", () => {
    expect(faults("cpu: 2\nshares:\n  http: {cpu: 1.5}\n  stream: {cpu: 1}\n")).toEqual([
      "hearth.yaml:2:1: shares: the doors' shares of cpu are 2.5 together, but cpu is 2",
    ]);
  });
});

describe("precedence", () => {
  const env = { HEARTH_CPU: "2", HEARTH_TASKS_SLOTS: "3", HEARTH_HAS_GPU: "on", HEARTH_MEM: "" };

  test("a flag beats a variable, a variable the file, the file the default; each value knows where it came from", () => {
    const { config, origins } = load("cpu: 1\nmem: 100\ntasks:\n  slots: 1\n  queue: 7\n", {
      env,
      flags: { cpu: "3.5" },
    });
    expect(config).toMatchObject({ cpu: 3.5, mem: 100, has_gpu: true, tasks: { slots: 3, queue: 7 } });
    expect(origins.get("cpu")).toEqual({ type: "flag", name: "--cpu" });
    expect(origins.get("tasks.slots")).toEqual({ type: "env", name: "HEARTH_TASKS_SLOTS" });
    expect(origins.get("tasks.queue")).toMatchObject({ type: "file", line: 5, column: 10 });
    expect(origins.has("timeout")).toBe(false);
  });

  test("the fixed names that scripts rely on are there", () => {
    const fixed = {
      HEARTH_HTTP_HOST: "0.0.0.0",
      HEARTH_HTTP_PORT: "0",
      HEARTH_MONITOR_PORT: "7001",
      HEARTH_STATE_DIR: "/tmp/x",
      HEARTH_DRIVER: "process",
    };
    expect(load(undefined, { env: fixed })).toMatchObject({
      config: {
        http: { host: "0.0.0.0", port: 0 },
        monitor: { port: 7001 },
        state_dir: "/tmp/x",
        driver: "process",
      },
      warnings: [],
    });
  });

  test("a wrong variable or flag is named as such, beside the faults of the file", () => {
    expect(faults("mem: x\n", { env: { HEARTH_HTTP_PORT: "no" }, flags: { cpu: "-1" } })).toEqual([
      "--cpu: cpu: expected a number above 0 up to 4096 (cores), found -1",
      'HEARTH_HTTP_PORT: http.port: expected a whole number from 0 to 65535, found "no"',
      'hearth.yaml:1:6: mem: expected a whole number from 1 to 67108864 (MB), found "x"',
    ]);
  });

  test.each(["ssh://engine", "engine", "tcp://engine:99999", "tcp://:2375", "tcp:///path"])(
    "an engine's address %j that cannot be one is named by its setting and by where it came from",
    (host) => {
      const expected = `expected unix:///path or tcp://host:port, found ${JSON.stringify(host)}`;
      expect(faults("", { env: { DOCKER_HOST: host } })).toEqual([`DOCKER_HOST: docker.host: ${expected}`]);
      expect(faults(`docker: {host: ${JSON.stringify(host)}}\n`)).toEqual([
        `hearth.yaml:1:16: docker.host: ${expected}`,
      ]);
    },
  );

  test.each(["", "unix:///run/docker.sock", "tcp://[::1]:2375", "https://engine"])(
    "an engine's address %j may be one",
    (host) => {
      const expected = host === "" ? "unix:///var/run/docker.sock" : host;
      expect(load(undefined, { env: { DOCKER_HOST: host } }).config.docker.host).toBe(expected);
    },
  );

  test("a variable that looks like ours is mentioned", () => {
    const { warnings } = load(undefined, {
      env: { HEARTH_HTPP_PORT: "1", HEARTH_NODE: "node", HEARTH_JOB_ID: "a", OTHER: "1" },
    });
    expect(warnings).toEqual(["HEARTH_HTPP_PORT sets nothing; did you mean HEARTH_HTTP_PORT?"]);
  });

  test("lists take commas, and the engine's own variable counts", () => {
    const told = { env: { HEARTH_IMAGES_ALLOW: "a/*, b", DOCKER_HOST: "tcp://127.0.0.1:2375" } };
    expect(load(undefined, told).config).toMatchObject({
      images: { allow: ["a/*", "b"] },
      docker: { host: "tcp://127.0.0.1:2375" },
    });
  });

  test("relative paths begin at the file's folder, or at the working directory for variables", () => {
    mkdirSync(join(folder, "etc"));
    writeFileSync(join(folder, "etc/h.yaml"), "state_dir: state\ntasks: {dirs: [mine]}\n");
    expect(load(undefined, { configFile: "etc/h.yaml" }).config).toMatchObject({
      state_dir: join(folder, "etc/state"),
      tasks: { dirs: [join(folder, "etc/mine")] },
    });
    expect(load(undefined, { env: { HEARTH_STATE_DIR: "here" } }).config.state_dir).toBe(
      join(folder, "here"),
    );
  });
});

test("which executer type runs a method is shown as the file has it", () => {
  const rows = ["{method: test.echo, executer_type: test}", "{method: a.b, executer_type: math}"];
  const shown = describeConfig(load(`api:\n  methods: [${rows.join(", ")}]\n`));
  expect(shown.find(({ key }) => key === "api.methods")?.value).toEqual(rows);
});

describe("tokens", () => {
  test("come from values and files, and nothing prints them", () => {
    writeFileSync(join(folder, "one"), "canary-1\n");
    writeFileSync(join(folder, "two"), "canary-2\n");
    const yaml = "http:\n  token: canary-0\n  tokens:\n    - {name: ci, token_file: two, scopes: [run]}\n";
    const loaded = load(yaml, { env: { HEARTH_HTTP_TOKEN_FILE: "one" } });
    expect(loaded.tokens.map(({ name, token, scopes }) => [name, token.reveal(), scopes.length])).toEqual([
      ["default", "canary-0", 3],
      ["default", "canary-1", 3],
      ["ci", "canary-2", 1],
    ]);
    expect(JSON.stringify([loaded.tokens, loaded.config])).not.toContain("canary");
  });

  test("a file that cannot be read and an entry with both or neither are faults", () => {
    const yaml =
      "http:\n  token_file: none\n  tokens:\n    - {name: a, scopes: [run]}\n    - {name: b, scopes: [fly], token: x}\n";
    expect(faults(yaml.replace("fly", "run"))).toEqual([
      `hearth.yaml:2:15: http.token_file: ${folder}/none cannot be read (ENOENT)`,
      "hearth.yaml:4:7: http.tokens.0: expected either token or token_file",
    ]);
    expect(faults(yaml)[0]).toMatch(/^hearth\.yaml:5:26: http\.tokens\.1\.scopes\.0: expected /);
  });
});

import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { runProgram } from "../support/run-program.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const hasSystemd = existsSync("/usr/bin/systemd-analyze");

describe.skipIf(!hasSystemd)(`the systemd unit${hasSystemd ? "" : " (needs systemd-analyze)"}`, () => {
  test("it has no fault that systemd can find, and takes most rights away", async () => {
    const folder = await mkdtemp(join(tmpdir(), "hearth-unit-"));
    try {
      const unit = readFileSync(join(root, "deploy/systemd/hearth.service"), "utf8");
      const path = join(folder, "hearth.service");
      // The program is not installed here; all else stays as it is.
      await writeFile(path, unit.replace("/opt/hearth/hearth serve", "/bin/true"));
      const verified = await runProgram("systemd-analyze", ["verify", path]);
      expect(verified).toEqual({ code: 0, stdout: "", stderr: "" });
      const secured = await runProgram("systemd-analyze", [
        "security",
        "--offline=true",
        "--threshold=60",
        path,
      ]);
      expect(secured.stdout + secured.stderr).toMatch(/exposure level for hearth.service: [0-5]\.\d/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("it starts what the daemon says is ready, and leaves the tasks to the daemon", () => {
    const unit = readFileSync(join(root, "deploy/systemd/hearth.service"), "utf8");
    for (const line of [
      "Type=notify",
      "Delegate=cpu memory pids",
      "StateDirectory=hearth",
      "KillMode=mixed",
    ]) {
      expect(unit.split("\n")).toContain(line);
    }
  });

  test("it waits as long as an end may take with the usual settings", () => {
    const unit = readFileSync(join(root, "deploy/systemd/hearth.service"), "utf8");
    const sample = readFileSync(join(root, "hearth.example.yaml"), "utf8");
    const drain = Number(/^drain_timeout_s: (\d+)$/m.exec(sample)?.[1]);
    // Twice for what runs, once for sandboxes, and the rest.
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(2 * drain + 30 + 20);
  });
});

interface Compose {
  readonly name?: string;
  readonly services: {
    readonly executor: {
      readonly networks: Readonly<Record<string, { ipv4_address: string }>>;
      readonly ports: string[];
    };
  };
  readonly networks: Readonly<Record<string, { readonly name: string }>>;
}

test("the compose file has the documented network and address, publishes on loopback only, and names no project", () => {
  const compose = parse(readFileSync(join(root, "docker-compose.yml"), "utf8")) as Compose;
  expect(compose.name).toBeUndefined();
  expect(compose.services.executor.networks).toEqual({ mecanywhere: { ipv4_address: "172.18.0.255" } });
  expect(compose.networks["mecanywhere"]?.name).toBe("mecanywhere");
  expect(compose.services.executor.ports).toEqual(["127.0.0.1:2591:2591", "127.0.0.1:7000:7000"]);
});

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { release, tmpdir, version } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readFindings } from "../../core/index.ts";
import { PROBE_SOURCE_SHA256 } from "./bytes.ts";
import type { ProbeArchitecture } from "./probe-program.ts";
import { isProbeArchitecture, probeArguments, probeProgram } from "./probe-program.ts";

const HERE: Readonly<Record<string, ProbeArchitecture>> = { x64: "amd64", arm64: "arm64" };
const EMULATOR = "/usr/bin/qemu-aarch64-static";
const own = HERE[process.arch];

/** How each committed program is run on this machine; what cannot be run here is left out. */
const RUNS: readonly { architecture: ProbeArchitecture; before: readonly string[] }[] = [
  ...(own === undefined ? [] : [{ architecture: own, before: [] }]),
  ...(own !== "arm64" && existsSync(EMULATOR)
    ? [{ architecture: "arm64", before: [EMULATOR] } as const]
    : []),
];

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-probe-"));
  for (const { architecture } of RUNS) {
    writeFileSync(join(folder, architecture), probeProgram(architecture));
    chmodSync(join(folder, architecture), 0o755);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the committed bytes were built from the committed source", () => {
  const source = readFileSync(new URL("probe.c", import.meta.url));
  expect(PROBE_SOURCE_SHA256, "run scripts/build-program.sh").toBe(
    createHash("sha256").update(source).digest("hex"),
  );
});

test("each is a static program for its machine and under 4 KB", () => {
  const machines = { amd64: 62, arm64: 183 } as const;
  for (const architecture of ["amd64", "arm64"] as const) {
    const file = probeProgram(architecture);
    expect(file.subarray(0, 4).toString("latin1")).toBe("\u007fELF");
    expect(file.readUInt16LE(16)).toBe(2);
    expect(file.readUInt16LE(18)).toBe(machines[architecture]);
    expect(file.length).toBeLessThan(4096);
  }
  expect(isProbeArchitecture("riscv64")).toBe(false);
  expect(isProbeArchitecture("toString")).toBe(false);
});

describe.each(RUNS)("the program for $architecture", ({ architecture, before }) => {
  const run = (...args: readonly string[]): string => {
    const [program = "", ...rest] = [...before, join(folder, architecture), ...args];
    return execFileSync(program, rest, { encoding: "utf8", timeout: 30_000 });
  };

  test("tells the kernel as uname does", () => {
    expect(readFindings(run("kernel")).kernel).toBe(`${release()} ${version()}`);
  });

  test("takes what nothing keeps from it, and says so", () => {
    const findings = readFindings(run("cpu=60", "pids=5", "memory=8388608"));
    expect(findings).toMatchObject({ pids: { made: 5, errno: 0 }, memory: { how: 0 }, diedAt: undefined });
    expect(findings.cpu?.wallUs).toBeGreaterThanOrEqual(60_000);
    expect(findings.cpu?.usedUs).toBeGreaterThan(0);
    expect(findings.memory?.touchedBytes).toBeGreaterThanOrEqual(8_388_608);
  });

  test("tells a port that accepts from one that does not", async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    // Not execFileSync's doing: the kernel accepts for a listener that is busy.
    const open = run(`connect=127.0.0.1:${port}`);
    // At the other address nobody listens, and while this server has the port nobody comes to.
    const shut = run(`connect=127.0.0.2:${port}`);
    await new Promise((resolve) => server.close(resolve));
    expect(readFindings(open).connects).toEqual([{ target: `127.0.0.1:${port}`, errno: 0 }]);
    expect(readFindings(shut).connects).toEqual([{ target: `127.0.0.2:${port}`, errno: 111 }]);
  });

  test("any argument is survived", () => {
    for (const argument of [
      "",
      "=",
      "cpu",
      "cpu=",
      "pids=x",
      "connect=",
      "connect=x",
      "privilege=/nowhere",
    ]) {
      expect(run(argument)).toMatch(/end\n$/);
    }
  });
});

describe.skipIf(process.getuid?.() !== 0 || !existsSync("/usr/bin/setpriv") || own === undefined)(
  "as root",
  () => {
    const runAs = (...flags: readonly string[]): string => {
      const program = join(folder, own ?? "amd64");
      const copy = join(folder, "gain");
      writeFileSync(copy, readFileSync(program));
      chmodSync(folder, 0o755);
      chmodSync(copy, 0o4755);
      const args = [
        ...flags,
        "--reuid",
        "65534",
        program,
        ...probeArguments({ setuidCopy: copy, targets: [] }, 0),
      ];
      return spawnSync("setpriv", args, { encoding: "utf8", timeout: 30_000 }).stdout;
    };

    test("a setuid copy gains root, which is what a sandbox must keep from it", () => {
      expect(readFindings(runAs())).toMatchObject({
        privilege: { isFlagSet: false, uid: 65_534 },
        gainedUid: 0,
      });
    });

    test("and gains nothing once no new privileges are to be had", () => {
      expect(readFindings(runAs("--no-new-privs"))).toMatchObject({
        privilege: { isFlagSet: true, uid: 65_534 },
        gainedUid: 65_534,
      });
    });
  },
);

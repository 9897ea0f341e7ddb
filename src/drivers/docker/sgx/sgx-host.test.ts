import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ClassReport } from "../../../core/index.ts";
import type { SgxHostOptions, SgxSettings } from "./sgx-host.ts";
import { SgxHost } from "./sgx-host.ts";

// A stand-in: this machine has no SGX, and what counts here is that a character device is there.
const DEVICE = "/dev/null";
const CONTAINER: ClassReport = {
  isolation: "container",
  runtime: undefined,
  state: "usable",
  reasons: [],
  sight: undefined,
};

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sgx-"));
  mkdirSync(join(folder, "aesm"));
  writeFileSync(join(folder, "aesm", "aesm.socket"), "");
  writeFileSync(join(folder, "file"), "");
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function host(settings: Partial<SgxSettings> = {}, more: Partial<SgxHostOptions> = {}): SgxHost {
  const whole = { isEnabled: true, device: DEVICE, aesmFolder: join(folder, "aesm"), ...settings };
  return new SgxHost({ settings: whole, seesHost: true, engineSocket: "/var/run/docker.sock", ...more });
}

const reasons = (one: SgxHost): string => one.report(CONTAINER).reasons.join("; ");

test("with device and folder there the class is as usable as the container that it runs in", () => {
  expect(host().report(CONTAINER)).toMatchObject({ isolation: "sgx", state: "usable", reasons: [] });
  expect(host().parts()).toEqual({ device: DEVICE, aesmFolder: join(folder, "aesm") });
  expect(host().report({ ...CONTAINER, state: "unproven" }).state).toBe("unproven");
  const broken = host().report({ ...CONTAINER, state: "unusable", reasons: ["no limits"] });
  expect(broken).toMatchObject({ state: "unusable", reasons: [expect.stringContaining("no limits")] });
});

test("M21: switched off it is refused whatever else is there", () => {
  expect(host({ isEnabled: false }).report(CONTAINER)).toMatchObject({
    state: "unusable",
    reasons: ["sgx.enable is off"],
  });
  expect(() => host({ isEnabled: false }).parts()).toThrow(
    expect.objectContaining({ code: "SGX_UNAVAILABLE", facts: { reason: "sgx.enable is off" } }),
  );
});

test("M21: what is missing is named by its setting and its path", () => {
  expect(reasons(host({ device: join(folder, "none") }))).toBe(
    `sgx.sgx_device: ${join(folder, "none")} does not exist on this host`,
  );
  expect(reasons(host({ device: join(folder, "file") }))).toContain("is not a device");
  expect(reasons(host({ aesmFolder: join(folder, "file") }))).toContain("sgx.aesmd_path");
  expect(reasons(host({ device: "", aesmFolder: "aesmd" }))).toMatch(
    /sgx_device: it is empty; sgx.aesmd_path: aesmd is no absolute path/,
  );
  expect(() => host({ device: join(folder, "none") }).parts()).toThrow(/sgx\.sgx_device/);
});

test("what comes and goes is seen without a restart", () => {
  const one = host();
  rmSync(join(folder, "aesm", "aesm.socket"));
  expect(one.report(CONTAINER)).toMatchObject({
    state: "usable",
    reasons: [expect.stringContaining("holds no aesm.socket")],
  });
  rmSync(join(folder, "aesm"), { recursive: true });
  expect(one.report(CONTAINER).state).toBe("unusable");
  mkdirSync(join(folder, "aesm"));
  expect(one.report(CONTAINER).state).toBe("usable");
});

test("a folder with the engine's socket in it is never handed to a task", () => {
  for (const engineSocket of [join(folder, "aesm", "docker.sock"), join(folder, "aesm", "deep", "s")]) {
    expect(reasons(host({}, { engineSocket }))).toContain("engine's socket");
    expect(() => host({}, { engineSocket }).parts()).toThrow(/engine's socket/);
  }
  expect(reasons(host({ aesmFolder: "/" }, { seesHost: false }))).toContain("engine's socket");
  expect(reasons(host({}, { engineSocket: `${join(folder, "aesm")}-other/s` }))).toBe("");
});

test("where the daemon cannot see the host, the paths are tried at a start, and the report says so", () => {
  const far = host({ device: "/dev/sgx_enclave", aesmFolder: "/no/such/folder" }, { seesHost: false });
  expect(far.report(CONTAINER)).toMatchObject({
    state: "usable",
    reasons: [expect.stringContaining("only tried when")],
  });
  expect(far.parts()).toEqual({ device: "/dev/sgx_enclave", aesmFolder: "/no/such/folder" });
});

import { expect, test } from "vitest";
import { parseBind } from "./indexify-section.ts";
import { loadConfig } from "./load.ts";

function load(env: Readonly<Record<string, string>>) {
  return loadConfig({ env: { HOME: "/nobody", ...env }, cwd: "/nobody", isRoot: false });
}

test("the door is shut unless an address is given, and an address has a scheme and a port", () => {
  expect(load({}).loaded?.config.indexify.server_addr).toBe("");
  for (const address of ["http://localhost:8901", "https://indexify.example:443/", "http://[::1]:8901"]) {
    const { loaded } = load({ HEARTH_INDEXIFY_SERVER_ADDR: address });
    expect(loaded?.config.indexify.server_addr).toBe(address);
  }
  for (const address of ["localhost:8901", "http://localhost", "http://a:1/path", "ftp://a:1"]) {
    expect(load({ HEARTH_INDEXIFY_SERVER_ADDR: address }).faults).toMatchObject([
      { key: "indexify.server_addr" },
    ]);
  }
});

test("a function that is not named in full is refused, and so is a label without a value", () => {
  expect(load({ HEARTH_INDEXIFY_FUNCTIONS: "n:a:f,n:a:g:v1" }).loaded?.config.indexify.functions).toEqual([
    "n:a:f",
    "n:a:g:v1",
  ]);
  expect(load({ HEARTH_INDEXIFY_FUNCTIONS: "n:a" }).faults).toMatchObject([{ key: "indexify.functions.0" }]);
  expect(load({ HEARTH_INDEXIFY_LABELS: "region" }).faults).toMatchObject([{ key: "indexify.labels.0" }]);
});

test("a bind is two absolute paths, and may be read-only", () => {
  expect(parseBind("/data:/mnt/data:ro")).toEqual({ source: "/data", target: "/mnt/data", isReadOnly: true });
  expect(parseBind("/data:/data")).toEqual({ source: "/data", target: "/data", isReadOnly: false });
  for (const entry of ["data:/data", "/data", "/data:/d/../e", "/data:/data:rx", "/a:/b:ro:rw"]) {
    expect(parseBind(entry)).toBeUndefined();
  }
});

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
  const wrong = ["localhost:8901", "http://localhost", "http://a:1/path", "ftp://a:1", "http://a:99999"];
  for (const address of [...wrong, "http://localhost:65536", "https://a:0/"]) {
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

test("a label may be given once, with whatever value", () => {
  const { loaded } = load({ HEARTH_INDEXIFY_LABELS: "a=b,c=b" });
  expect(loaded?.config.indexify.labels).toEqual(["a=b", "c=b"]);
  for (const labels of ["a=b,a=c", "a=b,c=d,a=b"])
    expect(load({ HEARTH_INDEXIFY_LABELS: labels }).faults).toMatchObject([
      { key: "indexify.labels", message: "the label a is in this list twice" },
    ]);
});

test("a port of the sandboxes' proxy that is none is refused where it is advertised", () => {
  for (const [address, count] of [
    ["here:8095", 0],
    ["here:99999", 1],
  ] as const)
    expect(load({ HEARTH_INDEXIFY_PROXY_ADVERTISE: address }).faults).toHaveLength(count);
});

test("a bind is two absolute paths, and may be read-only", () => {
  expect(parseBind("/data:/mnt/data:ro")).toEqual({ source: "/data", target: "/mnt/data", isReadOnly: true });
  expect(parseBind("/data:/data")).toEqual({ source: "/data", target: "/data", isReadOnly: false });
  for (const entry of ["data:/data", "/data", "/data:/d/../e", "/data:/data:rx", "/a:/b:ro:rw"]) {
    expect(parseBind(entry)).toBeUndefined();
  }
});

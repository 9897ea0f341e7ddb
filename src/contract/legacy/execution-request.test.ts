import { expect, test } from "vitest";
import { type ExecutionRequest, parseExecutionRequest } from "./execution-request.ts";

const MB = 1_048_576;

function parse(request: unknown): ExecutionRequest {
  return parseExecutionRequest(Buffer.from(typeof request === "string" ? request : JSON.stringify(request)));
}

function task(more: object): unknown {
  const parsed = parse({ id: "a/b:1", ...more });
  return parsed.type === "request" ? parsed.task : parsed;
}

const plain = { image: "a/b:1", isolation: "default", sgx: false, network: "default" };
const resources = (cpuMillis: number, mem: number, gpuCount = 0, gpuMem = 0): object => ({
  cpuMillis,
  memoryBytes: mem * MB,
  gpuCount,
  gpuMemoryBytes: gpuMem * MB,
});

test.each([
  ["no resource", {}, resources(1000, 128)],
  ["null", { resource: null }, resources(1000, 128)],
  ["an empty one", { resource: {} }, resources(1000, 128)],
  ["both 0", { resource: { cpu: 0, mem: 0 } }, resources(1000, 128)],
  ["cpu only", { resource: { cpu: 2 } }, resources(2000, 128)],
  ["cpu and mem 0", { resource: { cpu: 2, mem: 0 } }, resources(2000, 128)],
  ["mem only", { resource: { mem: 256 } }, resources(1000, 256)],
  ["half a core", { resource: { cpu: 0.5, mem: 64 } }, resources(500, 64)],
  ["0.7 cores", { resource: { cpu: 0.7 } }, resources(700, 128)],
  ["a whole number written with a point", { resource: { cpu: 1.0, mem: 64.0 } }, resources(1000, 64)],
  ["wrapped once more", { resource: { resource: { cpu: 0.1, mem: 10 } } }, resources(100, 10)],
  ["use_gpu alone", { resource: { use_gpu: true } }, resources(1000, 128, 1)],
  ["use_gpu with count 0", { resource: { use_gpu: true, gpu_count: 0 } }, resources(1000, 128, 1)],
  ["two GPUs", { resource: { use_gpu: true, gpu_count: 2 } }, resources(1000, 128, 2)],
  ["camel case in resource", { resource: { useGpu: true, gpuCount: 3 } }, resources(1000, 128, 3)],
  ["camel case beside it", { useGpu: true, gpuCount: 2, resource: { cpu: 1 } }, resources(1000, 128, 2)],
  ["a wish beside a count", { useGpu: true, resource: { gpu_count: 4 } }, resources(1000, 128, 4)],
  ["memory of a card", { resource: { use_gpu: true, gpu_mem: 2048 } }, resources(1000, 128, 1, 2048)],
  ["memory of a card, camel case", { useGpu: true, gpuMem: 512 }, resources(1000, 128, 1, 512)],
  ["memory of no card", { resource: { gpu_mem: 2048 } }, resources(1000, 128)],
  ["a count alone", { resource: { gpu_count: 2 } }, resources(1000, 128, 2)],
  ["a count and a plain no", { resource: { use_gpu: false, gpu_count: 2 } }, resources(1000, 128, 0)],
  ["the desktop app's usual fields", { useGpu: false, gpuCount: 0, useSgx: false }, resources(1000, 128)],
  ["unknown fields", { resource: { cpu: 1, disk: "x" }, colour: [1] }, resources(1000, 128)],
])("M7: %s", (_, more, wanted) => {
  expect(task(more)).toEqual({ ...plain, resources: wanted });
});

test.each([
  [{ resource: { cpu: 0.55 } }, "resource.cpu"],
  [{ resource: { cpu: -1 } }, "resource.cpu"],
  [{ resource: { cpu: "1" } }, "resource.cpu"],
  [{ resource: { cpu: true } }, "resource.cpu"],
  [{ resource: { cpu: 1e300 } }, "resource.cpu"],
  ['{"id":"a","resource":{"cpu":1e999}}', "resource.cpu"],
  [{ resource: { mem: 1.5 } }, "resource.mem"],
  [{ resource: { mem: -1 } }, "resource.mem"],
  [{ resource: { mem: "128" } }, "resource.mem"],
  [{ resource: { mem: 2 ** 53 } }, "resource.mem"],
  [{ resource: { resource: { mem: [] } } }, "resource.mem"],
  [{ resource: "big" }, "resource"],
  [{ resource: [] }, "resource"],
  [{ resource: { resource: 1 } }, "resource.resource"],
  [{ resource: { use_gpu: "yes" } }, "resource.use_gpu"],
  [{ resource: { gpu_count: 0.5 } }, "resource.gpu_count"],
  [{ resource: { gpu_count: -1 } }, "resource.gpu_count"],
  [{ resource: { use_gpu: true, gpu_mem: 0.5 } }, "resource.gpu_mem"],
  [{ useGpu: true, gpuMem: "1" }, "gpuMem"],
  [{ useGpu: 1 }, "useGpu"],
  [{ gpuCount: "1" }, "gpuCount"],
  [{ use_sgx: "no" }, "use_sgx"],
  [{ runtime: 5 }, "runtime"],
  [{ input: { a: 1 } }, "input"],
  [{ input: 5 }, "input"],
  [{ id: "x".repeat(2000) }, "id"],
])("M8: %j is refused, naming %s", (more, field) => {
  const parsed = typeof more === "string" ? parse(more) : parse({ id: "a", ...more });
  expect(parsed.type === "bad" && parsed.message).toMatch(
    new RegExp(`^Bad execution request: ${field} must be `),
  );
});

test.each([
  "",
  "{",
  "null",
  "[]",
  '"text"',
  "5",
  "{}",
  '{"id":""}',
  '{"id":null}',
  '{"id":5}',
  '{"input":"x"}',
  '{"id":"a"} trailing',
  "id=a&input=b",
  '\ufeff{"id":"a"}',
  '{"__proto__":{"id":"a"}}',
])("%j is a bad execution request", (text) => {
  expect(parse(text)).toEqual({ type: "bad", message: "Bad execution request" });
});

test("the runtime is a floor: the contract's default, a class by its name, or a refusal", () => {
  expect(task({ runtime: "container" })).toMatchObject({ isolation: "default" });
  expect(task({ runtime: "" })).toMatchObject({ isolation: "default" });
  expect(task({ runtime: "microVM" })).toMatchObject({ isolation: "microVM" });
  expect(task({ runtime: "gvisor" })).toMatchObject({ isolation: "gvisor" });
  expect(task({ runtime: "firecracker" })).toMatchObject({
    type: "refused",
    error: { code: "ISOLATION_UNAVAILABLE" },
  });
});

test("SGX is asked for under both spellings", () => {
  expect(task({ use_sgx: true })).toMatchObject({ sgx: true });
  expect(task({ useSgx: true })).toMatchObject({ sgx: true });
  expect(task({ useSgx: false, use_sgx: null })).toMatchObject({ sgx: false });
});

test("M21: SGX asked for by its flag, by the runtime's name or by both is one task", () => {
  const wanted = task({ use_sgx: true });
  expect(wanted).toMatchObject({ sgx: true, isolation: "default" });
  expect(task({ runtime: "sgx" })).toEqual(wanted);
  expect(task({ runtime: "sgx", use_sgx: true })).toEqual(wanted);
  expect(task({ runtime: "container", useSgx: true })).toEqual(wanted);
  // What cannot be had together stays as it was asked for: the executor refuses it with both names.
  expect(task({ runtime: "gvisor", use_sgx: true })).toMatchObject({ sgx: true, isolation: "gvisor" });
});

test("the input is the text byte for byte, and empty when it is absent", () => {
  const input = (more: object): unknown => {
    const parsed = parse({ id: "a", ...more });
    return parsed.type === "request" && parsed.input.toString();
  };
  expect(input({})).toBe("");
  expect(input({ input: null })).toBe("");
  expect(input({ input: '{"a":"ä\\n😀"}\u0000' })).toBe('{"a":"ä\\n😀"}\u0000');
});

test("of a repeated field the last counts, and nothing reaches a prototype", () => {
  expect(parse('{"id":"a","id":"b","input":"1","input":"2"}')).toMatchObject({ task: { image: "b" } });
  parse(
    '{"id":"a","__proto__":{"polluted":1},"resource":{"__proto__":{"cpu":5}},"constructor":{"prototype":{}}}',
  );
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  expect(parse('{"id":"a","resource":{"__proto__":{"cpu":5}}}')).toMatchObject({
    task: { resources: resources(1000, 128) },
  });
});

test("the own extension of the network is read, and an unknown policy is a bad request that names the field", () => {
  const read = (network: unknown) =>
    parseExecutionRequest(Buffer.from(JSON.stringify({ id: "a/b:1", network })));
  expect(read("egress")).toMatchObject({ type: "request", task: { network: "egress" } });
  expect(read(null)).toMatchObject({ type: "request", task: { network: "default" } });
  for (const wrong of ["host", 1, ["egress"]]) {
    expect(read(wrong)).toMatchObject({
      type: "bad",
      message: expect.stringContaining("network must be") as string,
    });
  }
});

import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openJobStore } from "../../src/open-job-store.ts";
import { forever } from "../conformance/artifact-store/harness.ts";
import type { FakeS3 } from "../support/fake-s3.ts";
import { startFakeS3 } from "../support/fake-s3.ts";

let s3: FakeS3;

beforeAll(async () => {
  s3 = await startFakeS3();
  vi.stubEnv("AWS_ACCESS_KEY_ID", "someone");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "something");
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await s3[Symbol.asyncDispose]();
});

// The daemon and `hearth api` open it the same way.
test("the store of jobs is asked at the service and in the region of the settings", async () => {
  const settings = {
    artifact_store: "s3://bucket/jobs",
    s3_endpoint: s3.endpoint,
    s3_region: "eu-somewhere-7",
  };
  const away: unknown[] = [];
  const store = await openJobStore(settings, forever, (name, error) => away.push(name, error));
  await store[Symbol.asyncDispose]();
  expect(away).toEqual([]);
  expect(s3.requests.length).toBeGreaterThan(0);
  for (const { headers } of s3.requests) expect(headers.authorization).toContain("/eu-somewhere-7/s3/");
});

test("a store that is away is told of and open all the same", async () => {
  const away: string[] = [];
  const settings = { artifact_store: "s3://bucket", s3_endpoint: "http://127.0.0.1:1", s3_region: "x" };
  const store = await openJobStore(settings, forever, (name) => away.push(name));
  expect(away).toEqual([store.name]);
  await store[Symbol.asyncDispose]();
});

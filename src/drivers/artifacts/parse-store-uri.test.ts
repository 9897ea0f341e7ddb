import { expect, test } from "vitest";
import { parseStoreUri } from "./parse-store-uri.ts";

const parse = (uri: string): unknown => parseStoreUri(uri, "stream.artifact_store");

test.each([
  ["/mnt/artifacts", { type: "local", path: "/mnt/artifacts" }],
  ["file:///mnt/a%20b", { type: "local", path: "/mnt/a%20b" }],
  ["FILE:///mnt", { type: "local", path: "/mnt" }],
  ["s3://bucket", { type: "s3", bucket: "bucket", prefix: "" }],
  ["s3://bucket/a/b/", { type: "s3", bucket: "bucket", prefix: "a/b" }],
  ["gs://bucket/a", { type: "gcs", bucket: "bucket", prefix: "a" }],
  ["gcs://bucket", { type: "gcs", bucket: "bucket", prefix: "" }],
  ["gs://", { type: "gcs", bucket: undefined, prefix: "" }],
  ["s3://", { type: "s3", bucket: undefined, prefix: "" }],
])("%s is a place for files", (uri, location) => expect(parse(uri)).toEqual(location));

test.each([
  "",
  "artifacts",
  "./artifacts",
  "../artifacts",
  "file://artifacts",
  "hdfs://host/path",
  "https://bucket.s3.amazonaws.com",
  "s3:///prefix",
  "s3://key:secret@bucket",
  "s3://bucket?endpoint=http://x",
  "s3://Bucket/../x y",
  "/mnt/\0",
])("%j is none, and the error names the setting", (uri) =>
  expect(() => parse(uri)).toThrow(
    expect.objectContaining({
      code: "CONFIG_INVALID",
      facts: expect.objectContaining({ setting: "stream.artifact_store" }),
    }),
  ),
);

test("folders without a bucket are said to lack one", () =>
  expect(() => parse("s3:///prefix")).toThrow("it names folders, and before them no bucket"));

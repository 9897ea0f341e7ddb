import { existsSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openBlobStore } from "../../src/drivers/artifacts/index.ts";
import { AllocationFailureReason, type DataPayload } from "../../src/gen/executor_api_pb.js";
import { Scope } from "../../src/std/index.ts";
import { DoubleScheduler, type RequestEnd, storedJson } from "../support/indexify/double-scheduler.ts";
import { openTensorlake } from "../support/indexify/tensorlake.ts";
import { startTestExecutor } from "../support/indexify/test-executor.ts";
import { poll } from "../support/poll.ts";
import { type Swift, startSwift } from "../support/swift.ts";

const SLOW_MS = 240_000;
const BUCKET = "indexify-blobs";
const PREFIX = `s3://${BUCKET}/store`;
const CODE = "store/code/tests v1.zip";
const MIB = 2n ** 20n;

/** The real worker on a bucket of a real S3 server. Only the executor has its keys. */
describe.skipIf(!existsSync("/usr/bin/python3"))("X9: blobs in S3, with the real worker", () => {
  const scope = new Scope();
  const codeUses: string[] = [];
  let swift: Swift;
  let client: S3Client;
  let scheduler: DoubleScheduler;

  beforeAll(async () => {
    const tensorlake = await openTensorlake();
    if (typeof tensorlake === "string") throw new Error(tensorlake);
    swift = scope.use(await startSwift());
    const keys = { accessKeyId: swift.accessKey, secretAccessKey: swift.secretKey };
    vi.stubEnv("AWS_ACCESS_KEY_ID", keys.accessKeyId);
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", keys.secretAccessKey);
    client = new S3Client({
      ...{ endpoint: swift.endpoint, region: "us-east-1", forcePathStyle: true, credentials: keys },
    });
    scope.defer(() => client.destroy());
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    const folder = await mkdtemp(join(tmpdir(), "hearth-indexify-s3-"));
    scope.defer(() => rm(folder, { recursive: true, force: true }));
    // A copy: other tests pack the application anew, and each ZIP of it has a digest of its own.
    const zipPath = join(folder, "app.zip");
    await copyFile(tensorlake.appZip, zipPath);
    await put(CODE, await readFile(zipPath));
    scheduler = new DoubleScheduler({
      ...{ zipPath, blobFolder: folder },
      ...{ blobPrefix: PREFIX, codeUri: `s3://${BUCKET}/${CODE}` },
    });
    await scheduler.server.start();
    scope.use(scheduler.server);
    const executor = startTestExecutor({
      serverAddress: scheduler.server.address,
      functionExecutor: tensorlake.functionExecutor,
      cacheFolder: join(folder, "cache"),
      blobs: openBlobStore({ files: { roots: [] }, s3: { endpoint: swift.endpoint } }),
      workerEnvironment: withoutKeys(process.env),
      onCodeUse: (how) => codeUses.push(how),
    });
    scope.use(executor);
    await poll("the executor registers", () => executor.link.state.type === "ready" || "not yet");
  }, 400_000);

  afterAll(async () => {
    await scope[Symbol.asyncDispose]();
    vi.unstubAllEnvs();
  });

  const put = (Key: string, Body: Buffer | string) =>
    client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));

  let inputs = 0;
  async function call(name: string, input: unknown): Promise<RequestEnd> {
    const key = `store/input ${(inputs += 1)}.json`;
    const json = JSON.stringify(input);
    await put(key, json);
    return await scheduler.request(name, storedJson(`s3://${BUCKET}/${key}`, json));
  }

  async function bytesOf(payload: DataPayload | undefined): Promise<Buffer> {
    if (payload?.uri === undefined) throw new Error("no payload");
    expect(payload.uri.startsWith(`${PREFIX}/default/tests/`)).toBe(true);
    const Key = payload.uri.slice(`s3://${BUCKET}/`.length);
    const { Body } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
    const whole = Buffer.from((await Body?.transformToByteArray()) ?? []);
    const offset = Number(payload.offset ?? 0n);
    return whole.subarray(offset + Number(payload.metadataSize ?? 0n), offset + Number(payload.size ?? 0n));
  }

  async function valueOf(end: RequestEnd): Promise<unknown> {
    if (end.type !== "value") throw new Error(`failed: ${AllocationFailureReason[end.failed.reason]}`);
    return JSON.parse((await bytesOf(end.payload)).toString());
  }

  async function openUploads(): Promise<readonly string[]> {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
    return Uploads.map(({ Key }) => Key ?? "");
  }

  test(
    "a function reads its input and writes its value; what is told of it names no link",
    async () => {
      const end = await call("hello", "you");
      expect(await valueOf(end)).toBe("hello you");
      expect(end.type === "value" && end.payload?.uri).toMatch(/\.output_[^?]+$/);
      expect(await openUploads()).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "an error that was raised for the caller is an object, and one that was not leaves none",
    async () => {
      const refused = await call("refuses", "today");
      const error = refused.type === "failed" ? refused.failed.requestError : undefined;
      expect((await bytesOf(error)).toString()).toContain("not today");
      const failed = await call("fails", "");
      expect(failed.type === "failed" && AllocationFailureReason[failed.failed.reason]).toBe(
        "FUNCTION_ERROR",
      );
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: BUCKET }));
      const errors = Contents.filter(({ Key }) => Key?.endsWith(".req_error"));
      expect(errors).toHaveLength(1);
      expect(await openUploads()).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "a value of 210 MiB is written in three parts and is one object",
    async () => {
      const end = await call("big", 210);
      if (end.type !== "value" || end.payload?.uri === undefined) throw new Error("no value");
      const Key = end.payload.uri.slice(`s3://${BUCKET}/`.length);
      const head = await client.send(new HeadObjectCommand({ Bucket: BUCKET, Key }));
      expect(BigInt(head.ContentLength ?? 0)).toBe((end.payload.offset ?? 0n) + (end.payload.size ?? 0n));
      expect(end.payload.size).toBeGreaterThanOrEqual(210n * MIB);
      expect(head.ETag).toMatch(/-3"?$/);
      expect(await openUploads()).toEqual([]);
    },
    SLOW_MS,
  );

  test("X10: the code was fetched once for all the functions of its version", () => {
    expect(codeUses.length).toBeGreaterThan(2);
    expect(codeUses.filter((how) => how === "downloaded")).toHaveLength(1);
  });
});

const withoutKeys = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("AWS_")));

import {
  CreateBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { PresigningStore } from "../../src/core/index.ts";
import { openArtifactStore } from "../../src/drivers/artifacts/index.ts";
import { openS3Store } from "../../src/drivers/artifacts/s3/open-s3-store.ts";
import { describeArtifactStore } from "../conformance/artifact-store/describe-artifact-store.ts";
import { AMPLE, forever, readAll, textSource } from "../conformance/artifact-store/harness.ts";
import { type Swift, startSwift } from "../support/swift.ts";

const MIB = 2 ** 20;

let swift: Swift | undefined;
let keys: Pick<Swift, "endpoint" | "accessKey" | "secretKey">;
let client: S3Client;

beforeAll(async () => {
  swift = await startSwift();
  useKeys(swift.accessKey, swift.secretKey);
  keys = swift;
  client = new S3Client({ endpoint: swift.endpoint, region: "us-east-1", forcePathStyle: true });
}, 90_000);

afterAll(async () => {
  vi.unstubAllEnvs();
  client.destroy();
  await swift?.[Symbol.asyncDispose]();
});

function useKeys(accessKey: string | undefined, secretKey: string | undefined): void {
  vi.stubEnv("AWS_ACCESS_KEY_ID", accessKey);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", secretKey);
}

let buckets = 0;
async function newBucket(): Promise<string> {
  const Bucket = `hearth-${(buckets += 1)}`;
  await client.send(new CreateBucketCommand({ Bucket }));
  return Bucket;
}

async function openUploads(Bucket: string): Promise<readonly string[]> {
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
  return Uploads.map(({ Key }) => Key ?? "");
}

const options = (): { endpoint: string; forcePathStyle: boolean } => ({
  endpoint: keys.endpoint,
  forcePathStyle: true,
});

describeArtifactStore({
  name: "S3 (OpenStack Swift)",
  // Each byte passes four Python processes here; the local store is met with two gibibytes.
  largeBytes: 512 * MIB,
  severalPiecesBytes: 20 * MIB,
  async open() {
    const bucket = await newBucket();
    return {
      store: await openArtifactStore(`s3://${bucket}/some/prefix`, {
        setting: "artifact_store",
        s3: options(),
      }),
      leftovers: () => openUploads(bucket),
      end: async () => undefined,
    };
  },
});

describe("what only S3 has", () => {
  let bucket = "";
  let store: PresigningStore;
  beforeAll(async () => {
    bucket = await newBucket();
    store = openS3Store({ bucket, prefix: "" }, options());
  });
  afterAll(async () => store[Symbol.asyncDispose]());

  test("S: presigned links carry no checksum of a body that is not there yet", async () => {
    const links = [
      await store.presignRead("p/x", 60_000),
      await store.presignPart("p/x", "some-upload", 1, 60_000),
    ];
    for (const link of links) {
      expect(link.toLowerCase()).not.toContain("checksum");
      expect(new URL(link).searchParams.get("X-Amz-Expires")).toBe("60");
    }
    const week = new URL(await store.presignRead("p/x", 30 * 24 * 3_600_000));
    expect(week.searchParams.get("X-Amz-Expires")).toBe("604800");
  });

  test("S: whoever has a link reads one object, and parts sent through links become one", async () => {
    const id = await store.beginUpload("p/parts", forever);
    const parts = [Buffer.alloc(5 * MIB, "a"), Buffer.from("the end")];
    const etags: string[] = [];
    for (const [i, body] of parts.entries()) {
      const sent = await fetch(await store.presignPart("p/parts", id, i + 1, 60_000), {
        method: "PUT",
        body,
      });
      expect(sent.status).toBe(200);
      etags.push(sent.headers.get("etag") ?? "");
    }
    expect(await store.info("p/parts", forever)).toBeUndefined();
    await store.completeUpload("p/parts", id, etags, forever);
    const read = await fetch(await store.presignRead("p/parts", 60_000), {
      headers: { range: `bytes=${5 * MIB}-` },
    });
    expect([read.status, await read.text()]).toEqual([206, "the end"]);
    expect(await openUploads(bucket)).toEqual([]);
  });

  test("S: an upload that is given up leaves nothing, and giving it up again is no error", async () => {
    const id = await store.beginUpload("p/given-up", forever);
    await fetch(await store.presignPart("p/given-up", id, 1, 60_000), { method: "PUT", body: "x" });
    await store.abortUpload("p/given-up", id, forever);
    await store.abortUpload("p/given-up", id, forever);
    expect(await openUploads(bucket)).toEqual([]);
    expect(await store.info("p/given-up", forever)).toBeUndefined();
  });

  test("H7: a link that has run out, or was changed, reads nothing", async () => {
    await store.write("p/secret", textSource("secret"), AMPLE, forever);
    const short = await store.presignRead("p/secret", 1000);
    expect((await fetch(short.replace("p/secret", "p/parts"))).status).toBe(403);
    await new Promise((resolve) => setTimeout(resolve, 2100));
    expect((await fetch(short)).status).toBe(403);
  });

  test("a root without a bucket takes it from the key", async () => {
    await using rooted = await openArtifactStore("s3://", { setting: "artifact_store", s3: options() });
    await rooted.write(`${bucket}/users/7/input.zip`, textSource("rooted"), AMPLE, forever);
    expect(rooted.uriOf(`${bucket}/users/7/input.zip`)).toBe(`s3://${bucket}/users/7/input.zip`);
    expect(await readAll((await store.open("users/7/input.zip", undefined, forever)).contents)).toBe(
      "rooted",
    );
    await rooted.check(forever);
    await expect(rooted.open(bucket, undefined, forever)).rejects.toMatchObject({
      code: "ARTIFACT_KEY_INVALID",
    });
    await expect(rooted.open("no-such-bucket/x", undefined, forever)).rejects.toMatchObject({
      code: "ARTIFACT_NOT_FOUND",
    });
  });

  test("an object lies where its URI says, below the prefix", async () => {
    await using store = await openArtifactStore(`s3://${bucket}/deep/er`, { setting: "x", s3: options() });
    await store.write("a/b", textSource("x"), AMPLE, forever);
    const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: "deep/er/a/b" }));
    expect(head.ContentLength).toBe(1);
  });

  test("a wrong secret is denied, by every method, and says nothing of itself", async () => {
    const denied = { code: "ARTIFACT_STORE_DENIED" };
    useKeys(keys.accessKey, "not-the-secret");
    try {
      await using other = await openArtifactStore(`s3://${bucket}`, { setting: "x", s3: options() });
      await expect(other.check(forever)).rejects.toMatchObject(denied);
      await expect(other.info("p/secret", forever)).rejects.toMatchObject(denied);
      await expect(other.open("p/secret", undefined, forever)).rejects.toMatchObject(denied);
      const failure = await other
        .write("p/new", textSource("x"), AMPLE, forever)
        .catch((error: unknown) => error);
      expect(failure).toMatchObject(denied);
      expect(String(failure)).not.toContain("not-the-secret");
    } finally {
      useKeys(keys.accessKey, keys.secretKey);
    }
  });

  test("without AWS settings only the use of S3 fails, and says what is missing", async () => {
    useKeys(undefined, undefined);
    // So that neither a profile of this machine nor an instance role is found.
    vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
    vi.stubEnv("AWS_CONFIG_FILE", "/nowhere");
    vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
    try {
      await using other = await openArtifactStore(`s3://${bucket}`, { setting: "x", s3: options() });
      await expect(other.check(forever)).rejects.toMatchObject({
        code: "ARTIFACT_STORE_DENIED",
        message: expect.stringContaining("no AWS credentials"),
      });
      await using local = await openArtifactStore("s3://some-bucket", { setting: "x" });
      await expect(local.info("a", forever)).rejects.toMatchObject({ code: "ARTIFACT_STORE_DENIED" });
    } finally {
      useKeys(keys.accessKey, keys.secretKey);
    }
  });
});

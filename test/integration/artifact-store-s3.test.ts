import {
  CreateBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { ArtifactStore } from "../../src/core/index.ts";
import { openArtifactStore } from "../../src/drivers/artifacts/index.ts";
import { openConnection } from "../../src/drivers/artifacts/s3/connection.ts";
import { openS3Store } from "../../src/drivers/artifacts/s3/open-s3-store.ts";
import { readLink } from "../../src/drivers/artifacts/s3/presign.ts";
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
}, 180_000);

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
  let store: ArtifactStore;
  beforeAll(async () => {
    bucket = await newBucket();
    store = openS3Store({ bucket, prefix: "" }, options());
  });
  afterAll(async () => store[Symbol.asyncDispose]());

  test("H7: a link that has run out, or was changed, reads nothing", async () => {
    await store.write("p/secret", textSource("secret"), AMPLE, forever);
    await store.write("p/other", textSource("another"), AMPLE, forever);
    using connection = openConnection("s3", options());
    const target = { connection, key: "p/secret", address: { Bucket: bucket, Key: "p/secret" } };
    expect(await (await fetch(await readLink(target, 60_000))).text()).toBe("secret");
    const short = await readLink(target, 1000);
    expect((await fetch(short.replace("p/secret", "p/other"))).status).toBe(403);
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

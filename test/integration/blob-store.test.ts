import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { BlobStore } from "../../src/core/index.ts";
import { openBlobStore } from "../../src/drivers/artifacts/index.ts";
import { forever } from "../conformance/artifact-store/harness.ts";
import { describeBlobStore, putPart, writeParts } from "../conformance/blob-store.ts";
import { type Swift, startSwift } from "../support/swift.ts";

let swift: Swift;
let client: S3Client;

beforeAll(async () => {
  swift = await startSwift();
  vi.stubEnv("AWS_ACCESS_KEY_ID", swift.accessKey);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", swift.secretKey);
  client = new S3Client({ endpoint: swift.endpoint, region: "us-east-1", forcePathStyle: true });
}, 180_000);

afterAll(async () => {
  vi.unstubAllEnvs();
  client.destroy();
  await swift[Symbol.asyncDispose]();
});

let buckets = 0;
async function newBucket(): Promise<string> {
  const Bucket = `blobs-${(buckets += 1)}`;
  await client.send(new CreateBucketCommand({ Bucket }));
  return Bucket;
}

const openStore = (): BlobStore => openBlobStore({ files: { roots: [] }, s3: { endpoint: swift.endpoint } });

describeBlobStore("blobs in files", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hearth-blobs-"));
  return {
    store: openStore(),
    prefix: `file://${folder}`,
    leftovers: async () =>
      (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".part")),
    end: async () => rm(folder, { recursive: true }),
  };
});

describeBlobStore("blobs in S3 (OpenStack Swift)", async () => {
  const Bucket = await newBucket();
  return {
    store: openStore(),
    prefix: `s3://${Bucket}/indexify`,
    leftovers: async () => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
      return Uploads.map(({ Key }) => Key ?? "");
    },
    end: async () => undefined,
  };
});

describe("what only files have", () => {
  test("X9: the address of a file is its URI, unchanged", async () => {
    const folder = await mkdtemp(join(tmpdir(), "hearth-blobs-"));
    await writeFile(join(folder, "a%20b"), "1");
    await using store = openStore();
    const uri = `file://${folder}/a%20b`;
    expect(await store.readUri(uri, forever)).toBe(uri);
    await rm(folder, { recursive: true });
  });

  test("blobs lie in the folders that are allowed, and in no other", async () => {
    const folder = await mkdtemp(join(tmpdir(), "hearth-blobs-"));
    await writeFile(join(folder, "x"), "1");
    await using store = openBlobStore({ files: { roots: [folder] } });
    expect(await store.size(`file://${folder}/x`, forever)).toBe(1n);
    const denied = { code: "ARTIFACT_KEY_INVALID" };
    await expect(store.size(`file://${folder}-other/x`, forever)).rejects.toMatchObject(denied);
    await expect(store.readUri("file:///etc/hostname", forever)).rejects.toMatchObject(denied);
    await rm(folder, { recursive: true });
  });
});

/** Of no bytes at all: SHA-256, SHA-1, MD5 and CRC-32, as headers and links write them. */
const EMPTY_DIGESTS = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
  "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
  "1B2M2Y8AsgTpgAmY7PhCfg==",
  "AAAAAA==",
];

describe("what only S3 has", () => {
  let bucket = "";
  let store: BlobStore;
  beforeAll(async () => {
    bucket = await newBucket();
    store = openStore();
    const write = await store.beginWrite(`s3://${bucket}/mine`, forever);
    await write.complete(await writeParts(write, [Buffer.from("mine")]), forever);
  });
  afterAll(async () => store[Symbol.asyncDispose]());

  test("S, X9: links live for seven days, name one object in the path, and carry no checksum", async () => {
    const write = await store.beginWrite(`s3://${bucket}/parts`, forever);
    for (const link of [
      await store.readUri(`s3://${bucket}/mine`, forever),
      await write.partUri(7, forever),
    ]) {
      const { pathname, searchParams, protocol } = new URL(link);
      expect(protocol).toBe("http:");
      expect(pathname).toMatch(new RegExp(`^/${bucket}/(mine|parts)$`));
      expect(searchParams.get("X-Amz-Expires")).toBe("604800");
      expect(link.toLowerCase()).not.toContain("checksum");
      // Nor any other digest of an empty body, as which a link is signed: what is sent by it later has one of its own.
      for (const digest of EMPTY_DIGESTS) expect(decodeURIComponent(link)).not.toContain(digest);
      expect(link).not.toContain("testing");
    }
    await write.abort(forever);
  });

  test("X9: a link is good for its own object and its own deed", async () => {
    const link = await store.readUri(`s3://${bucket}/mine`, forever);
    expect(await (await fetch(link)).text()).toBe("mine");
    const write = await store.beginWrite(`s3://${bucket}/other`, forever);
    const part = await write.partUri(1, forever);
    const refused = [
      fetch(link.replace("/mine", "/other")),
      fetch(link, { method: "PUT", body: "theirs" }),
      fetch(link, { method: "DELETE" }),
      fetch(part.replace("/other", "/mine"), { method: "PUT", body: "theirs" }),
      fetch(part.replace("partNumber=1", "partNumber=2"), { method: "PUT", body: "theirs" }),
    ];
    for (const answer of await Promise.all(refused)) expect(answer.status).toBe(403);
    // Swift does not take the first for a request of S3's, and reads no parts, whoever asks.
    expect((await fetch(`${swift.endpoint}/${bucket}/mine`)).status).toBe(400);
    expect((await fetch(part)).status).toBe(405);
    await write.abort(forever);
    expect(Buffer.from(await store.read(`s3://${bucket}/mine`, 10, forever)).toString()).toBe("mine");
  });

  test("a bucket that is not there is an error, also where a blob may be missing", async () => {
    const missing = { code: "ARTIFACT_NOT_FOUND", message: expect.stringContaining("no such bucket") };
    await expect(store.size("s3://no-such-bucket/x", forever)).rejects.toMatchObject(missing);
    await expect(store.readUri("s3://no-such-bucket/x", forever)).rejects.toMatchObject(missing);
  });

  test("a part that was lost is not left out in silence", async () => {
    const write = await store.beginWrite(`s3://${bucket}/lost`, forever);
    await putPart(await write.partUri(1, forever), 0, Buffer.from("x"));
    await expect(write.complete(['"0123456789abcdef0123456789abcdef"'], forever)).rejects.toMatchObject({
      code: "ARTIFACT_STORE_UNAVAILABLE",
    });
    await write.abort(forever);
    expect(await store.size(`s3://${bucket}/lost`, forever)).toBeUndefined();
  });

  test("X13: without AWS settings only s3:// fails, and says what is missing", async () => {
    const { accessKey, secretKey } = swift;
    for (const [name, value] of Object.entries(WITHOUT_AWS)) vi.stubEnv(name, value);
    try {
      await using without = openStore();
      const denied = {
        code: "ARTIFACT_STORE_DENIED",
        message: expect.stringContaining("no AWS credentials in the environment"),
      };
      await expect(without.size(`s3://${bucket}/mine`, forever)).rejects.toMatchObject(denied);
      await expect(without.readUri(`s3://${bucket}/mine`, forever)).rejects.toMatchObject(denied);
      await expect(without.beginWrite(`s3://${bucket}/mine`, forever)).rejects.toMatchObject(denied);
      expect(await without.size(`file://${import.meta.filename}`, forever)).toBeGreaterThan(0n);
      // Credentials that appear later are found.
      vi.stubEnv("AWS_ACCESS_KEY_ID", accessKey);
      vi.stubEnv("AWS_SECRET_ACCESS_KEY", secretKey);
      expect(await without.size(`s3://${bucket}/mine`, forever)).toBe(4n);
    } finally {
      vi.stubEnv("AWS_ACCESS_KEY_ID", accessKey);
      vi.stubEnv("AWS_SECRET_ACCESS_KEY", secretKey);
    }
  });
});

/** Neither a profile of this machine nor an instance role is found. */
const WITHOUT_AWS = {
  AWS_ACCESS_KEY_ID: undefined,
  AWS_SECRET_ACCESS_KEY: undefined,
  AWS_EC2_METADATA_DISABLED: "true",
  AWS_CONFIG_FILE: "/nowhere",
  AWS_SHARED_CREDENTIALS_FILE: "/nowhere",
};

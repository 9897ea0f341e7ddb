import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { BlobStore } from "../../src/core/index.ts";
import { openBlobStore } from "../../src/drivers/artifacts/index.ts";
import { Scope } from "../../src/std/index.ts";
import type { DaemonWorld } from "../support/indexify/daemon-world.ts";
import { openDaemonWorld } from "../support/indexify/daemon-world.ts";
import type { RequestEnd } from "../support/indexify/double-scheduler.ts";
import { storedJson } from "../support/indexify/double-scheduler.ts";
import { reasonOf, valueOf } from "../support/indexify/request-end.ts";
import { tensorlakeOrThrow } from "../support/indexify/tensorlake.ts";
import { type Swift, startSwift } from "../support/swift.ts";

const SLOW_MS = 300_000;
const BUCKET = "indexify-daemon";
const PREFIX = `s3://${BUCKET}/store`;
const CODE = "store/code/tests v1.zip";
const noPython = !existsSync("/usr/bin/python3");

/** The daemon has the keys of a bucket on a real S3 server; its workers have none. */
describe.skipIf(noPython)("X9: blobs in S3, the whole daemon with the real worker", () => {
  const scope = new Scope();
  let swift: Swift;
  let client: S3Client;
  let world: DaemonWorld;
  let links: BlobStore;

  beforeAll(async () => {
    const { appZip } = await tensorlakeOrThrow();
    swift = scope.use(await startSwift());
    const credentials = { accessKeyId: swift.accessKey, secretAccessKey: swift.secretKey };
    const { endpoint } = swift;
    client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
    scope.defer(() => client.destroy());
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    const folder = await mkdtemp(join(tmpdir(), "hearth-indexify-s3-"));
    scope.defer(() => rm(folder, { recursive: true, force: true }));
    const zipPath = join(folder, "app.zip");
    await copyFile(appZip, zipPath);
    await put(CODE, await readFile(zipPath));
    vi.stubEnv("AWS_ACCESS_KEY_ID", swift.accessKey);
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", swift.secretKey);
    links = scope.use(openBlobStore({ files: { roots: [] }, s3: { endpoint } }));
    world = scope.use(
      await openDaemonWorld({
        application: { zipPath, blobPrefix: PREFIX, codeUri: `s3://${BUCKET}/${CODE}` },
        env: { AWS_ENDPOINT_URL_S3: endpoint },
        store: async (name, content) => {
          await put(`store/inputs of users/${name}`, content);
          return `s3://${BUCKET}/store/inputs of users/${name}`;
        },
      }),
    );
  }, 400_000);

  afterAll(async () => {
    await scope[Symbol.asyncDispose]();
    vi.unstubAllEnvs();
  });

  const put = (Key: string, Body: Uint8Array | string) =>
    client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));

  async function read(Key: string): Promise<Buffer> {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  }

  async function answerOf(end: RequestEnd): Promise<unknown> {
    if (end.type !== "value") throw new Error(`failed: ${reasonOf(end)}`);
    const { uri = "", offset = 0n, size = 0n, metadataSize = 0n } = end.payload ?? {};
    expect(uri.startsWith(`${PREFIX}/default/tests/`)).toBe(true);
    // What the server is told is the blob's name, never a link to it.
    expect(uri).not.toContain("?");
    const whole = await read(uri.slice(`s3://${BUCKET}/`.length));
    return JSON.parse(whole.subarray(Number(offset + metadataSize), Number(offset + size)).toString());
  }

  test(
    "code, inputs, arguments, results and state come from and go to the bucket, and no upload is left open",
    async () => {
      expect(await answerOf(await world.call("hello", "bucket"))).toBe("hello bucket");
      expect(await answerOf(await world.call("sum_of", [1, 2, 3]))).toBe(6);
      expect(await answerOf(await world.call("remembers", "abc"))).toBe("abc|nothing");
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
      expect(Uploads).toEqual([]);
      expect(world.scheduler.server.violations).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "a worker has no keys; a link of its own gets it that object and no other, and reads no more than it writes",
    async () => {
      const names = (await answerOf(await world.call("credentials", ""))) as readonly string[];
      expect(names.filter((name) => /KEY|SECRET|TOKEN|PROFILE|ROLE/.test(name))).toEqual([]);
      await put("store/mine", "mine");
      await put("store/theirs", "theirs");
      const mine = await links.readUri(`s3://${BUCKET}/store/mine`, new AbortController().signal);
      const moved = mine.replace("/store/mine", "/store/theirs");
      expect(moved).not.toBe(mine);
      const theirs = `${swift.endpoint}/${BUCKET}/store/theirs`;
      const refused = [
        ["GET", moved],
        ["PUT", moved],
        ["PUT", mine],
        ["DELETE", mine],
        ["GET", theirs],
        ["PUT", theirs],
        ["GET", `${theirs}?X-Amz-Signature=0`],
      ];
      const [own, ...others] = (await answerOf(
        await world.call("asks", [["GET", mine], ...refused]),
      )) as readonly number[];
      expect(own).toBe(200);
      expect(others).toHaveLength(refused.length);
      for (const status of others) expect(status).toBeGreaterThanOrEqual(400);
      expect((await read("store/mine")).toString()).toBe("mine");
      expect((await read("store/theirs")).toString()).toBe("theirs");
    },
    SLOW_MS,
  );
});

test.skipIf(noPython)(
  "X13: without AWS settings only S3 fails; files keep the names that the server gave them, word for word",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "hearth-indexify-local-"));
    const blobFolder = join(folder, "a%20b c");
    await mkdir(blobFolder);
    const home = join(folder, "home");
    await mkdir(home);
    const json = JSON.stringify("files");
    const store = async (name: string, content: Uint8Array): Promise<string> => {
      await writeFile(join(blobFolder, name), content);
      return `file://${blobFolder}/${name}`;
    };
    try {
      await using world = await openDaemonWorld({ application: { blobFolder }, env: { HOME: home }, store });
      const value = await world.call("hello", "files");
      expect(await valueOf(value)).toBe("hello files");
      expect(value.type === "value" && value.payload?.uri).toMatch(
        new RegExp(`^file://${blobFolder}/default/tests/`),
      );
      const far = await world.scheduler.request("hello", storedJson(`s3://${BUCKET}/store/input`, json));
      expect(reasonOf(far)).toBe("INTERNAL_ERROR");
      expect(await valueOf(await world.call("hello", "again"))).toBe("hello again");
      expect(world.daemon.log()).toMatch(/indexify\.allocation-failed.*AWS/);
      expect(world.scheduler.terminated).toEqual([]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  SLOW_MS,
);

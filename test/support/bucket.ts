import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { RemoteStore } from "./stream-world.ts";
import type { Swift } from "./swift.ts";

/** A folder of a bucket as somebody else than Hearth sees it. */
export interface Bucket extends RemoteStore, Disposable {
  /** What a daemon needs in its environment to get at it. */
  readonly env: Readonly<Record<string, string>>;
  /** All that is below a folder. */
  keys(folder: string): Promise<readonly string[]>;
  /** Keys of uploads that were begun and neither ended nor given up. */
  openUploads(): Promise<readonly string[]>;
}

/** Makes a bucket; what it is asked for is below `prefix` there. */
export async function openBucket(swift: Swift, Bucket: string, prefix: string): Promise<Bucket> {
  const { endpoint, accessKey: accessKeyId, secretKey: secretAccessKey } = swift;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  await client.send(new CreateBucketCommand({ Bucket }));
  return {
    uri: `s3://${Bucket}/${prefix}`,
    env: {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_ENDPOINT_URL_S3: endpoint,
    },
    async put(key, fromPath) {
      const Body = await readFile(fromPath);
      await client.send(new PutObjectCommand({ Bucket, Key: `${prefix}/${key}`, Body }));
    },
    async get(key, toPath) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: `${prefix}/${key}` }));
      await pipeline(Body as Readable, createWriteStream(toPath));
    },
    async keys(folder) {
      const found = await client.send(new ListObjectsV2Command({ Bucket, Prefix: `${prefix}/${folder}` }));
      return (found.Contents ?? []).map(({ Key = "" }) => Key.slice(prefix.length + 1)).sort();
    },
    async openUploads() {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
      return Uploads.map(({ Key = "" }) => Key);
    },
    [Symbol.dispose]: () => client.destroy(),
  };
}

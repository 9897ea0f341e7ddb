import { randomUUID } from "node:crypto";
import { ListBucketsCommand } from "@aws-sdk/client-s3";
import type { ArtifactKey, ArtifactStore } from "../../../core/index.ts";
import { bytesOf, measure, openPlainFile, saveAs } from "../transfer.ts";
import type { S3Location } from "./address.ts";
import { addressOf } from "./address.ts";
import type { Connection, ConnectionOptions } from "./connection.ts";
import { openConnection } from "./connection.ts";
import { headObject } from "./head-object.ts";
import { moveObject, removeObject } from "./move-object.ts";
import { openObject } from "./read-object.ts";
import type { Target } from "./target.ts";
import { writeObject } from "./write-object.ts";

export type S3StoreOptions = ConnectionOptions;

/**
 * Opens a store in S3 or in what speaks like it. Credentials are AWS's usual chain: environment, profile, web identity,
 * instance role.
 */
export function openS3Store(location: S3Location, options: S3StoreOptions = {}): ArtifactStore {
  const { bucket, prefix } = location;
  const name = `s3://${[bucket, prefix].filter(Boolean).join("/")}`;
  const connection = openConnection(name, options);
  const targetOf = (key: ArtifactKey): Target => ({ connection, key, address: addressOf(location, key) });
  return {
    name,
    uriOf: (key) => {
      const { Bucket, Key } = addressOf(location, key);
      return `s3://${Bucket}/${Key}`;
    },
    info: async (key, signal) => {
      const head = await headObject(targetOf(key), signal);
      return head && { bytes: head.bytes, modifiedAtMs: head.modifiedAtMs };
    },
    open: async (key, range, signal) => openObject(targetOf(key), name, range, signal),
    async write(key, contents, limits, signal) {
      const target = targetOf(key);
      signal.throwIfAborted();
      const measured = measure(contents, limits, signal);
      await writeObject(target, measured.contents, signal);
      return measured.written();
    },
    async download(key, toPath, limits, signal) {
      const { contents } = await openObject(targetOf(key), name, undefined, signal);
      return saveAs(toPath, contents, limits, signal);
    },
    async upload(key, fromPath, signal) {
      const target = targetOf(key);
      await using file = await openPlainFile(fromPath);
      const maxBytes = Number.MAX_SAFE_INTEGER;
      const measured = measure(bytesOf(file, 0, maxBytes), { maxBytes }, signal);
      await writeObject(target, measured.contents, signal);
      return measured.written();
    },
    move: async (from, to, signal) => moveObject(targetOf(from), targetOf(to), signal),
    remove: async (key, signal) => removeObject(targetOf(key), signal),
    check: (signal) => check(connection, location, signal),
    [Symbol.asyncDispose]: async () => connection[Symbol.dispose](),
  };
}

/** Writes an object that no key can name and takes it away; without a bucket only whether the credentials are taken is asked. */
async function check(
  connection: Connection,
  { bucket, prefix }: S3Location,
  signal: AbortSignal,
): Promise<void> {
  if (bucket === undefined) {
    await connection.send("", signal, (client, inner) =>
      client.send(new ListBucketsCommand({}), { abortSignal: inner }),
    );
    return;
  }
  const key = [prefix, `.hearth-check-${randomUUID()}`].filter(Boolean).join("/");
  const target = { connection, key, address: { Bucket: bucket, Key: key } };
  await writeObject(target, oneByte(), signal);
  await removeObject(target, signal);
}

async function* oneByte(): AsyncIterable<Uint8Array> {
  yield Buffer.from("x");
}

import { open, readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BlobStore, BlobWrite } from "../../src/core/index.ts";
import { forever } from "./artifact-store/harness.ts";

/** What the suite runs against. */
export interface BlobWorld {
  readonly store: BlobStore;
  /** What the URIs of its blobs begin with, without a slash at the end. */
  readonly prefix: string;
  /** Names of what was begun and neither completed nor given up. */
  leftovers(): Promise<readonly string[]>;
  end(): Promise<void>;
}

const MIB = 2 ** 20;

/** Writes a part as a worker does, which has no credentials. @returns its etag. */
export async function putPart(uri: string, offset: number, bytes: Uint8Array): Promise<string> {
  if (uri.startsWith("file://")) {
    const path = uri.slice("file://".length);
    await (await open(path, "a")).close();
    await using file = await open(path, "r+");
    await file.write(bytes, 0, bytes.length, offset);
    return "an etag of nobody's";
  }
  const sent = await fetch(uri, { method: "PUT", body: Buffer.from(bytes) });
  expect(sent.status).toBe(200);
  return sent.headers.get("etag") ?? "";
}

/** Reads from a link as a worker does. */
export async function readFrom(uri: string, start: number, bytes: number): Promise<Buffer> {
  if (uri.startsWith("file://"))
    return (await readFile(uri.slice("file://".length))).subarray(start, start + bytes);
  const answer = await fetch(uri, { headers: { range: `bytes=${start}-${start + bytes - 1}` } });
  expect(answer.status).toBe(206);
  return Buffer.from(await answer.arrayBuffer());
}

export async function writeParts(write: BlobWrite, parts: readonly Uint8Array[]): Promise<readonly string[]> {
  const etags: string[] = [];
  let offset = 0;
  for (const [i, part] of parts.entries()) {
    etags.push(await putPart(await write.partUri(i + 1, forever), offset, part));
    offset += part.length;
  }
  return etags;
}

/** What every `BlobStore` promises. */
export function describeBlobStore(name: string, openWorld: () => Promise<BlobWorld>): void {
  describe(name, () => {
    let world: BlobWorld;
    let store: BlobStore;
    let count = 0;
    beforeAll(async () => {
      world = await openWorld();
      store = world.store;
    });
    afterAll(async () => {
      await store[Symbol.asyncDispose]();
      await world.end();
    });
    const fresh = (): string => `${world.prefix}/ns/app/request-${(count += 1)}.alloc.output_1`;

    async function put(uri: string, ...texts: readonly string[]): Promise<void> {
      const write = await store.beginWrite(uri, forever);
      await write.complete(await writeParts(write, texts.map(Buffer.from)), forever);
    }

    test("X9: parts become one blob, in their order, and are not seen before", async () => {
      const uri = fresh();
      const write = await store.beginWrite(uri, forever);
      expect(write.uri).toBe(uri);
      const first = Buffer.alloc(5 * MIB, "a");
      // Two addresses are handed out before either is written, as to a worker that writes both at once.
      const [one, two] = [await write.partUri(1, forever), await write.partUri(2, forever)];
      const second = await putPart(two, first.length, Buffer.from("the end"));
      const etags = [await putPart(one, 0, first), second];
      expect(await store.size(uri, forever)).toBeUndefined();
      await write.complete(etags, forever);
      expect(await store.size(uri, forever)).toBe(BigInt(first.length + 7));
      const link = await store.readUri(uri, forever);
      expect((await readFrom(link, first.length - 2, 5)).toString()).toBe("aathe");
      expect(await world.leftovers()).toEqual([]);
    });

    test("X9: a write that is given up leaves nothing, and giving it up again is no error", async () => {
      const uri = fresh();
      const write = await store.beginWrite(uri, forever);
      await writeParts(write, [Buffer.from("half")]);
      expect(await world.leftovers()).toHaveLength(1);
      await write.abort(forever);
      await write.abort(forever);
      expect(await store.size(uri, forever)).toBeUndefined();
      expect(await world.leftovers()).toEqual([]);
    });

    test("X9: after complete, complete and abort change nothing", async () => {
      const uri = fresh();
      const write = await store.beginWrite(uri, forever);
      const etags = await writeParts(write, [Buffer.from("kept")]);
      await write.complete(etags, forever);
      await write.complete(etags, forever);
      await write.abort(forever);
      expect(Buffer.from(await store.read(uri, 100, forever)).toString()).toBe("kept");
    });

    test("X9: a write that is given up leaves the blob that was there", async () => {
      const uri = fresh();
      await put(uri, "the old one");
      const write = await store.beginWrite(uri, forever);
      await writeParts(write, [Buffer.from("new")]);
      expect(Buffer.from(await store.read(uri, 100, forever)).toString()).toBe("the old one");
      await write.abort(forever);
      expect(Buffer.from(await store.read(uri, 100, forever)).toString()).toBe("the old one");
    });

    test("X9: a shorter blob leaves nothing of a longer one", async () => {
      const uri = fresh();
      await put(uri, "a long value");
      await put(uri, "short");
      expect(Buffer.from(await store.read(uri, 100, forever)).toString()).toBe("short");
    });

    test.each([
      ["no part at all", []],
      ["one part of no bytes", [""]],
    ])("X9: a blob of no bytes, written as %s", async (_, texts) => {
      const uri = fresh();
      await put(uri, ...texts);
      expect(await store.size(uri, forever)).toBe(0n);
      expect(await store.read(uri, 0, forever)).toHaveLength(0);
      expect(await world.leftovers()).toEqual([]);
    });

    test("X9: names are taken word for word", async () => {
      for (const name of ["a b", "a%20b", "a+b&c=d", "ü?#[x]", "state/k%C3%BC"]) {
        const uri = `${world.prefix}/names/${name}`;
        await put(uri, name);
        const link = await store.readUri(uri, forever);
        expect((await readFrom(link, 0, 100)).toString()).toBe(name);
      }
    });

    test("a blob that is not there has no size and cannot be read", async () => {
      const uri = fresh();
      expect(await store.size(uri, forever)).toBeUndefined();
      await expect(store.read(uri, 100, forever)).rejects.toMatchObject({ code: "ARTIFACT_NOT_FOUND" });
    });

    test("a blob above the limit is not read", async () => {
      const uri = fresh();
      await put(uri, "four");
      expect(await store.read(uri, 4, forever)).toHaveLength(4);
      await expect(store.read(uri, 3, forever)).rejects.toMatchObject({ code: "ARTIFACT_TOO_LARGE" });
    });

    test("who gives up gets his own reason", async () => {
      const gone = AbortSignal.abort(new Error("no longer wanted"));
      const uri = fresh();
      await expect(store.size(uri, gone)).rejects.toThrow("no longer wanted");
      await expect(store.readUri(uri, gone)).rejects.toThrow("no longer wanted");
      await expect(store.beginWrite(uri, gone)).rejects.toThrow("no longer wanted");
      await expect(store.read(uri, 1, gone)).rejects.toThrow("no longer wanted");
      expect(await world.leftovers()).toEqual([]);
    });

    test("steps in a path are refused by every method, and so is what names nothing", async () => {
      const hostile = [
        `${world.prefix}/../x`,
        `${world.prefix}/a/./x`,
        `${world.prefix}/a/..`,
        "file://",
        "s3://",
      ];
      for (const uri of [
        ...hostile,
        "s3://bucket",
        "s3:///key",
        "gs://bucket/key",
        "http://host/x",
        "/tmp/x",
        "",
      ])
        for (const use of [
          () => store.size(uri, forever),
          () => store.readUri(uri, forever),
          () => store.beginWrite(uri, forever),
          () => store.read(uri, 1, forever),
        ])
          await expect(use(), uri).rejects.toMatchObject({ code: "ARTIFACT_KEY_INVALID" });
    });
  });
}

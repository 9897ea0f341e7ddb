import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BlobStore } from "../../../core/index.ts";
import { ContainerDescriptionSchema, DataPayloadSchema } from "../../../gen/executor_api_pb.js";
import type { ContainerOrder } from "../commands/orders.ts";
import { CodeCache, type CodeCacheOptions } from "./code-cache.ts";

const forever = new AbortController().signal;
setMaxListeners(0, forever);

let root: string;
beforeEach(async () => {
  root = join(await mkdtemp(join(tmpdir(), "hearth-code-")), "cache");
});
afterEach(async () => rm(dirname(root), { recursive: true, force: true }));

/** Blobs in memory that count how often each is read. */
class CountedBlobs implements Pick<BlobStore, "read"> {
  readonly texts = new Map<string, string>();
  readonly reads: string[] = [];
  /** While it is set, reads wait for it. */
  gate: Promise<void> | undefined;

  async read(uri: string): Promise<Uint8Array> {
    this.reads.push(uri);
    await this.gate;
    const text = this.texts.get(uri);
    if (text === undefined) throw new Error("it is not there");
    return Buffer.from(text);
  }
}

function openCache(blobs: CountedBlobs, over: Partial<CodeCacheOptions> = {}): CodeCache {
  return new CodeCache({
    root,
    blobs: blobs as unknown as BlobStore,
    maxBytes: 1000,
    totalBytes: 1000,
    ...over,
  });
}

interface Named {
  readonly namespace?: string;
  readonly application?: string;
  readonly version?: string;
}

/** Asks for a text that is stored under the URI. */
function orderFor(blobs: CountedBlobs, uri: string, text: string, named: Named = {}): ContainerOrder {
  blobs.texts.set(uri, text);
  return {
    id: "container-1",
    description: create(ContainerDescriptionSchema),
    function: { namespace: "ns", application: "app", name: "f", version: "v1", ...named },
    code: {
      ...{ uri, offset: 0n, size: BigInt(Buffer.byteLength(text)), payload: create(DataPayloadSchema) },
      sha256: createHash("sha256").update(text).digest("hex"),
    },
    ...{
      initializeTimeoutMs: 0,
      allocationTimeoutMs: 0,
      maxConcurrency: 1,
      secretNames: [],
      resources: undefined,
    },
  };
}

const placeOf = ({ function: { namespace, application, version } }: ContainerOrder): string =>
  join(root, "application_cache", namespace, application, version ?? "none");

const textOf = async (cache: CodeCache, order: ContainerOrder): Promise<string> =>
  Buffer.from(await cache.read(order, forever)).toString();

async function files(): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

describe("X10: the code of an application", () => {
  test("is fetched once per version, also when a hundred workers want it at once", async () => {
    const blobs = new CountedBlobs();
    const used: string[] = [];
    const cache = openCache(blobs, { onUse: (how) => used.push(how) });
    const order = orderFor(blobs, "s3://b/v1", "code one");
    const signals = Array.from({ length: 100 }, () => new AbortController().signal);
    const all = await Promise.all(
      signals.map(async (signal) => Buffer.from(await cache.read(order, signal)).toString()),
    );
    expect(new Set(all)).toEqual(new Set(["code one"]));
    expect(await textOf(cache, order)).toBe("code one");
    const next = orderFor(blobs, "s3://b/v2", "code two", { version: "v2" });
    expect(await textOf(cache, next)).toBe("code two");
    expect(blobs.reads).toEqual(["s3://b/v1", "s3://b/v2"]);
    expect(used.slice(-2)).toEqual(["cached", "downloaded"]);
  });

  test("is found by another executor that shares the folder, and by the next daemon", async () => {
    const blobs = new CountedBlobs();
    const order = orderFor(blobs, "s3://b/v1", "code");
    await textOf(openCache(blobs), order);
    expect(await textOf(openCache(blobs), order)).toBe("code");
    expect(blobs.reads).toHaveLength(1);
  });

  test.each([
    ["of the same length", "c0de"],
    ["of another length", "longer than it was"],
    ["that is empty", ""],
  ])("is fetched anew in place of a file %s that somebody changed", async (_, changed) => {
    const blobs = new CountedBlobs();
    const cache = openCache(blobs);
    const order = orderFor(blobs, "s3://b/v1", "code");
    await textOf(cache, order);
    await writeFile(placeOf(order), changed);
    expect(await textOf(cache, order)).toBe("code");
    expect(await readFile(placeOf(order), "utf8")).toBe("code");
    expect(blobs.reads).toHaveLength(2);
  });

  test("is used where it cannot be kept, and that is told", async () => {
    const blobs = new CountedBlobs();
    const told: unknown[] = [];
    const cache = openCache(blobs, { onNotKept: (error) => told.push(error) });
    const order = orderFor(blobs, "s3://b/v1", "code");
    // A folder in the place of the file, as on a disk that somebody has tidied by hand.
    await mkdir(join(placeOf(order), "x"), { recursive: true });
    expect(await textOf(cache, order)).toBe("code");
    expect(told).toHaveLength(1);
    expect(await files()).toEqual([]);
  });

  test("is taken out of a bigger blob by its offset", async () => {
    const blobs = new CountedBlobs();
    const order = orderFor(blobs, "s3://b/v1", "code");
    blobs.texts.set("s3://b/v1", "before-code-after");
    const inside = { ...order, code: { ...order.code, offset: 7n } };
    expect(await textOf(openCache(blobs), inside)).toBe("code");
  });

  test("is never that of another digest, though both have one version and are fetched at once", async () => {
    const blobs = new CountedBlobs();
    const cache = openCache(blobs);
    const one = orderFor(blobs, "s3://b/one", "code 1");
    const two = orderFor(blobs, "s3://b/two", "code 2");
    expect(await Promise.all([textOf(cache, one), textOf(cache, two)])).toEqual(["code 1", "code 2"]);
    expect(await textOf(cache, one)).toBe("code 1");
  });

  test("X7: is fetched for whoever names its right place, though another names a wrong one for the same version at once", async () => {
    const blobs = new CountedBlobs();
    const cache = openCache(blobs);
    const right = orderFor(blobs, "s3://b/v1", "code");
    const wrong = { ...right, code: { ...right.code, uri: "s3://b/none" } };
    const [refused, text] = await Promise.allSettled([cache.read(wrong, forever), textOf(cache, right)]);
    expect(refused.status).toBe("rejected");
    expect(text).toEqual({ status: "fulfilled", value: "code" });
  });
});

describe("what was not what was named", () => {
  test("is refused and not kept", async () => {
    const blobs = new CountedBlobs();
    const cache = openCache(blobs);
    const order = orderFor(blobs, "s3://b/v1", "code");
    blobs.texts.set("s3://b/v1", "evil");
    await expect(cache.read(order, forever)).rejects.toMatchObject({ code: "ARCHIVE_INVALID" });
    expect(await files()).toEqual([]);
    blobs.texts.set("s3://b/v1", "code");
    expect(await textOf(cache, order)).toBe("code");
  });

  test("a fetch that failed is tried again by the next who asks", async () => {
    const blobs = new CountedBlobs();
    const cache = openCache(blobs);
    const order = orderFor(blobs, "s3://b/v1", "code");
    blobs.texts.clear();
    const asked = await Promise.allSettled([cache.read(order, forever), cache.read(order, forever)]);
    expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    blobs.texts.set("s3://b/v1", "code");
    expect(await textOf(cache, order)).toBe("code");
  });

  test("who gives up does not end it for the others", async () => {
    const blobs = new CountedBlobs();
    const cache = openCache(blobs);
    const order = orderFor(blobs, "s3://b/v1", "code");
    let open = (): void => undefined;
    blobs.gate = new Promise((resolve) => (open = resolve));
    const giver = new AbortController();
    const given = cache.read(order, giver.signal);
    const other = textOf(cache, order);
    giver.abort(new Error("removed"));
    await expect(given).rejects.toThrow("removed");
    open();
    expect(await other).toBe("code");
    expect(blobs.reads).toHaveLength(1);
  });
});

describe("the folder is bounded", () => {
  test("those unused for longest go, with the folders that they leave empty, and what was just kept stays", async () => {
    const blobs = new CountedBlobs();
    const cache = openCache(blobs, { totalBytes: 10 });
    const orders = ["a", "b", "c"].map((application) =>
      orderFor(blobs, `s3://b/${application}`, `${application}${application}${application}`, { application }),
    );
    for (const [i, order] of orders.entries()) {
      await textOf(cache, order);
      await utimes(placeOf(order), 1000 + i, 1000 + i);
    }
    // Used once more, it is the last to go.
    await textOf(cache, orders[0]!);
    await textOf(cache, orderFor(blobs, "s3://b/d", "dddd", { application: "d" }));
    expect((await readdir(join(root, "application_cache", "ns"))).toSorted()).toEqual(["a", "c", "d"]);
    await textOf(cache, orderFor(blobs, "s3://b/big", "more than everything", { application: "big" }));
    expect(await readdir(join(root, "application_cache", "ns"))).toEqual(["big"]);
  });

  test("what a killed executor left half fetched goes after an hour, and what is being fetched stays", async () => {
    const blobs = new CountedBlobs();
    await mkdir(join(root, "tmp_download"), { recursive: true });
    const [old, young] = [join(root, "tmp_download", "dl-old"), join(root, "tmp_download", "dl-young")];
    for (const path of [old, young]) await writeFile(path, "half");
    const twoHoursAgo = Date.now() / 1000 - 7200;
    await utimes(old, twoHoursAgo, twoHoursAgo);
    await textOf(openCache(blobs), orderFor(blobs, "s3://b/v1", "code"));
    await expect(stat(old)).rejects.toMatchObject({ code: "ENOENT" });
    expect((await stat(young)).size).toBe(4);
  });

  test("many fetched at once, each over the limit, are all handed out", async () => {
    const blobs = new CountedBlobs();
    const told: unknown[] = [];
    const cache = openCache(blobs, { totalBytes: 3, onNotKept: (error) => told.push(error) });
    const orders = Array.from({ length: 40 }, (_, i) =>
      orderFor(blobs, `s3://b/${i}`, `code ${i}`, { application: `app-${i}` }),
    );
    const texts = await Promise.all(orders.map((order) => textOf(cache, order)));
    expect(texts).toEqual(orders.map((_, i) => `code ${i}`));
  });
});

test.each(["..", ".", "", "a/b", "../../etc", "a\\b", "a\0b", "/etc", "x".repeat(201)])(
  "X10: a name that is no name of a folder is refused before anything is read or written: %j",
  async (name) => {
    for (const part of ["namespace", "application", "version"] as const) {
      const blobs = new CountedBlobs();
      const order = orderFor(blobs, "s3://b/v1", "code", { [part]: name });
      await expect(openCache(blobs).read(order, forever)).rejects.toMatchObject({
        code: "ARTIFACT_KEY_INVALID",
      });
      expect(blobs.reads).toEqual([]);
    }
    expect(await readdir(dirname(root))).toEqual([]);
  },
);

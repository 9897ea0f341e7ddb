import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ArtifactStore } from "../../src/core/index.ts";
import { openArtifactStore } from "../../src/drivers/artifacts/index.ts";
import { openS3Store } from "../../src/drivers/artifacts/s3/open-s3-store.ts";
import { AMPLE, forever, longSource, readAll, textSource } from "../conformance/artifact-store/harness.ts";
import { type FakeKind, type FakeRequest, type FakeS3, type Fault, startFakeS3 } from "../support/fake-s3.ts";

const MIB = 2 ** 20;
/** Three pieces. */
const LONG = 20 * MIB;
const KEYS = { AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "secret" };

let fake: FakeS3;
let store: ArtifactStore;

beforeEach(async () => {
  for (const [name, value] of Object.entries(KEYS)) vi.stubEnv(name, value);
  fake = await startFakeS3();
  store = openStore();
});

/** A request that gets no answer is given up far above what one takes on a busy machine, unless the test waits for that. */
function openStore(requestMs = 60_000): ArtifactStore {
  return openS3Store(
    { bucket: "bucket", prefix: "" },
    { endpoint: fake.endpoint, requestMs, firstPauseMs: 1 },
  );
}

async function useImpatientStore(): Promise<void> {
  await store[Symbol.asyncDispose]();
  store = openStore(5000);
}

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await fake[Symbol.asyncDispose]();
  vi.unstubAllEnvs();
});

/** The first `times` requests of a kind fail. */
function failFirst(kind: FakeKind, times: number, fault: Fault): void {
  let left = times;
  fake.script((request) => (request.kind === kind && (left -= 1) >= 0 ? fault : undefined));
}

const error = (status: number, code: string): Fault => ({ type: "error", status, code });
const count = (kind: FakeKind): number => fake.requests.filter((request) => request.kind === kind).length;
const digest = async (bytes: number): Promise<string> => {
  const hash = createHash("sha256");
  for await (const piece of longSource(bytes)) hash.update(piece);
  return hash.digest("hex");
};
const stored = (key: string): string =>
  createHash("sha256")
    .update(fake.objects.get(`/bucket/${key}`) ?? "")
    .digest("hex");

const writeLong = (key: string): Promise<unknown> => store.write(key, longSource(LONG), AMPLE, forever);

describe("H6: what passes by itself is tried again, and the object is whole", () => {
  const passing: [string, Fault][] = [
    ["500", error(500, "InternalError")],
    ["503 SlowDown", error(503, "SlowDown")],
    ["429", error(429, "Throttling")],
    ["a reset in the middle of the request", { type: "reset" }],
    ["no answer", { type: "stall" }],
    ["an answer that is lost", { type: "lost-answer" }],
  ];
  const kinds: FakeKind[] = ["create", "part", "complete"];

  test.each(passing.flatMap(([name, fault]) => kinds.map((kind) => [kind, name, fault] as const)))(
    "%s: %s",
    async (kind, name, fault) => {
      if (name === "no answer") await useImpatientStore();
      failFirst(kind, name === "no answer" ? 1 : 2, fault);
      await writeLong("long");
      expect(stored("long")).toBe(await digest(LONG));
      // A create whose answer was lost has begun an upload that nobody has the name of.
      expect(fake.openUploads()).toBe(kind === "create" && fault.type === "lost-answer" ? 2 : 0);
    },
  );

  test("a complete that answers 200 with an error in its body is no success", async () => {
    failFirst("complete", 2, { type: "error-in-200" });
    await writeLong("long");
    expect(count("complete")).toBe(3);
    expect(stored("long")).toBe(await digest(LONG));
    expect(fake.openUploads()).toBe(0);
  });

  test("short writes, reads, looks, moves and removals too", async () => {
    const script = (kind: FakeKind): void => failFirst(kind, 3, error(503, "SlowDown"));
    script("put");
    await store.write("a", textSource("text"), AMPLE, forever);
    script("get");
    expect(await readAll((await store.open("a", undefined, forever)).contents)).toBe("text");
    script("head");
    expect(await store.info("a", forever)).toMatchObject({ bytes: 4 });
    script("copy");
    await store.move("a", "b", forever);
    script("delete");
    await store.remove("b", forever);
    expect(fake.objects.size).toBe(0);
  });

  test.each(["cut", "silence"] as const)(
    "a read with a %s in its middle goes on at the same byte",
    async (then) => {
      await writeLong("long");
      if (then === "silence") await useImpatientStore();
      failFirst("get", 3, { type: "half", then });
      const hash = createHash("sha256");
      const opened = await store.open("long", undefined, forever);
      for await (const piece of opened.contents) hash.update(piece);
      expect(hash.digest("hex")).toBe(await digest(LONG));
      const ranges = fake.requests.filter(({ kind }) => kind === "get").map(({ headers }) => headers.range);
      expect(ranges.length).toBe(4);
      expect(new Set(ranges).size).toBe(4);
    },
  );

  test("one that is replaced in the middle of a read is not mixed with the new one", async () => {
    await writeLong("long");
    let gets = 0;
    fake.script(({ kind }) =>
      kind === "get" && (gets += 1) === 1 ? { type: "half", then: "cut" } : undefined,
    );
    const opened = await store.open("long", undefined, forever);
    await store.write("long", longSource(LONG - 1), AMPLE, forever);
    await expect(readAll(opened.contents)).rejects.toMatchObject({ code: "ARTIFACT_STORE_UNAVAILABLE" });
  });
});

describe("H6: what does not pass ends, and nothing of it stays", () => {
  test.each([
    ["put", "short"],
    ["create", "long"],
    ["part", "long"],
    ["complete", "long"],
  ] as const)("a server that is busy for ever is asked five times: %s", async (kind, length) => {
    failFirst(kind, 1000, error(503, "SlowDown"));
    const source = length === "short" ? textSource("x") : longSource(LONG);
    await expect(store.write("gone", source, AMPLE, forever)).rejects.toMatchObject({
      code: "ARTIFACT_STORE_UNAVAILABLE",
    });
    if (kind !== "part") expect(count(kind)).toBe(5);
    expect(fake.openUploads()).toBe(0);
    expect(fake.objects.size).toBe(0);
  });

  test("a complete that always has an error in its body never shows the object", async () => {
    failFirst("complete", 1000, { type: "error-in-200" });
    await expect(writeLong("gone")).rejects.toMatchObject({ code: "ARTIFACT_STORE_UNAVAILABLE" });
    expect(fake.openUploads()).toBe(0);
    expect(fake.objects.size).toBe(0);
  });

  test.each(["put", "create", "part", "complete"] as const)(
    "a refusal is taken at once: %s",
    async (kind) => {
      failFirst(kind, 1000, error(403, "AccessDenied"));
      const source = kind === "put" ? textSource("x") : longSource(LONG);
      await expect(store.write("gone", source, AMPLE, forever)).rejects.toMatchObject({
        code: "ARTIFACT_STORE_DENIED",
      });
      if (kind !== "part") expect(count(kind)).toBe(1);
      expect(fake.openUploads()).toBe(0);
      expect(fake.objects.size).toBe(0);
    },
  );

  test("an upload that nobody knows and whose object is not there has failed", async () => {
    failFirst("complete", 1000, error(404, "NoSuchUpload"));
    await expect(writeLong("gone")).rejects.toMatchObject({ code: "ARTIFACT_STORE_UNAVAILABLE" });
    expect(fake.objects.size).toBe(0);
  });

  test("the wish to stop ends the pauses between tries", async () => {
    await store[Symbol.asyncDispose]();
    store = openS3Store(
      { bucket: "bucket", prefix: "" },
      { endpoint: fake.endpoint, firstPauseMs: 3_600_000 },
    );
    const stop = new AbortController();
    const reason = new Error("enough");
    fake.script(() => {
      setTimeout(() => stop.abort(reason), 20);
      return error(503, "SlowDown");
    });
    await expect(store.info("x", stop.signal)).rejects.toBe(reason);
  });
});

describe("H7: credentials that run out in the middle of a job", () => {
  const tokenOf = (request: FakeRequest): unknown => request.headers["x-amz-security-token"];

  test("fresh ones are fetched once, and the work goes on", async () => {
    vi.stubEnv("AWS_SESSION_TOKEN", "old");
    await store.write("a", textSource("x"), AMPLE, forever);
    fake.script((request) => (tokenOf(request) === "old" ? error(400, "ExpiredToken") : undefined));
    vi.stubEnv("AWS_SESSION_TOKEN", "new");
    await writeLong("long");
    expect(stored("long")).toBe(await digest(LONG));
    const refused = fake.requests.filter((request) => tokenOf(request) === "old").length;
    // The one that worked before, and the first of the long write.
    expect(refused).toBe(2);
  });

  test("when the fresh ones have run out as well, it says so and leaves nothing", async () => {
    fake.script(({ kind }) => (kind === "part" ? error(400, "ExpiredToken") : undefined));
    await expect(writeLong("gone")).rejects.toMatchObject({ code: "ARTIFACT_STORE_DENIED" });
    expect(fake.openUploads()).toBe(0);
    expect(fake.objects.size).toBe(0);
  });
});

describe("a store that is refused for good, at the start", () => {
  const refusal = async (uri: string): Promise<unknown> => {
    const s3 = { endpoint: fake.endpoint, firstPauseMs: 1 };
    await using named = await openArtifactStore(uri, { setting: "stream.artifact_store", s3 });
    return await named.check(forever).catch((thrown: unknown) => thrown);
  };

  test("a root without a bucket is named by its setting, with what is missing", async () => {
    fake.script(() => error(403, "AccessDenied"));
    expect(await refusal("s3://")).toMatchObject({
      code: "ARTIFACT_STORE_DENIED",
      facts: { setting: "stream.artifact_store", store: "s3://" },
      message: expect.stringContaining("403 AccessDenied; it names no bucket, so that all buckets are asked"),
    });
  });

  test("with a bucket only the setting is named", async () => {
    fake.script(() => error(403, "AccessDenied"));
    const refused = await refusal("s3://bucket/deep");
    expect(refused).toMatchObject({
      facts: { setting: "stream.artifact_store", reason: "403 AccessDenied" },
    });
    expect(String(refused)).not.toContain("names no bucket");
  });

  test("a root without a bucket is no matter where nobody was asked, or nobody known", async () => {
    fake.script(() => error(401, "Unauthorized"));
    expect(await refusal("s3://")).toMatchObject({
      facts: { setting: "stream.artifact_store", reason: "401 Unauthorized" },
    });
    for (const name of Object.keys(KEYS)) vi.stubEnv(name, undefined);
    // So that neither a profile of this machine nor an instance role is found.
    vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
    vi.stubEnv("AWS_CONFIG_FILE", "/nowhere");
    vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
    const refused = await refusal("s3://");
    expect(refused).toMatchObject({
      code: "ARTIFACT_STORE_DENIED",
      facts: { setting: "stream.artifact_store", store: "s3://" },
      message: expect.stringContaining("no AWS credentials"),
    });
    expect(String(refused)).not.toContain("names no bucket");
  });

  test("one that may answer later says what it said before", async () => {
    fake.script(() => error(503, "SlowDown"));
    const passing = await refusal("s3://");
    expect(passing).toMatchObject({ code: "ARTIFACT_STORE_UNAVAILABLE" });
    expect(String(passing)).not.toContain("names no bucket");
  });
});

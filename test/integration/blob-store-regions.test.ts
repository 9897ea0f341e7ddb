import { createServer, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { BlobStore } from "../../src/core/index.ts";
import { openBlobStore } from "../../src/drivers/artifacts/index.ts";
import { forever } from "../conformance/artifact-store/harness.ts";

/**
 * A stand-in, with a reason: a server of one's own has one region. It answers the question where a bucket is as AWS does, each
 * bucket named for its answer; links are only computed and never sent.
 */
interface Answer {
  readonly status: number;
  readonly region?: string;
}

const ANSWERS: Readonly<Record<string, Answer>> = {
  here: { status: 200, region: "us-east-1" },
  elsewhere: { status: 301, region: "eu-west-1" },
  "of-another-region": { status: 400, region: "ap-southeast-2" },
  "of-somebody-else": { status: 403, region: "eu-west-1" },
  "says-nothing": { status: 403 },
  "says-nonsense": { status: 200, region: "example.com/x?" },
  gone: { status: 404 },
};

const asked: string[] = [];
let busyAnswers = 0;
const server = createServer((request: IncomingMessage, response) => {
  const bucket = new URL(request.url ?? "", "http://host").pathname.split("/")[1] ?? "";
  asked.push(`${request.method} ${bucket}`);
  const isBusy = (busyAnswers -= 1) >= 0;
  const { status, region } = isBusy ? { status: 503 } : (ANSWERS[bucket] ?? { status: 500 });
  response.writeHead(status, region === undefined ? {} : { "x-amz-bucket-region": region }).end();
});
let endpoint = "";

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endpoint = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  vi.stubEnv("AWS_ACCESS_KEY_ID", "some-key");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "some-secret");
  vi.stubEnv("AWS_REGION", "sa-east-1");
});
afterAll(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  asked.length = 0;
  busyAnswers = 0;
});

const openStore = (): BlobStore => openBlobStore({ files: { roots: [] }, s3: { endpoint, firstPauseMs: 1 } });

/** The region is part of what a link is signed for: `key/date/region/s3/aws4_request`. */
const regionOf = (link: string): string | undefined =>
  new URL(link).searchParams.get("X-Amz-Credential")?.split("/")[2];

test.each([
  ["here", "us-east-1"],
  ["elsewhere", "eu-west-1"],
  ["of-another-region", "ap-southeast-2"],
  ["of-somebody-else", "eu-west-1"],
  ["says-nothing", "sa-east-1"],
  ["says-nonsense", "sa-east-1"],
])("X9: a link into the bucket %s is signed for %s", async (bucket, region) => {
  await using store = openStore();
  const link = await store.readUri(`s3://${bucket}/key`, forever);
  expect(regionOf(link)).toBe(region);
  expect(new URL(link).pathname).toBe(`/${bucket}/key`);
});

test("X9: a bucket is asked for once, by however many", async () => {
  await using store = openStore();
  const uris = Array.from({ length: 20 }, (_, i) => `s3://elsewhere/${i}`);
  await Promise.all(uris.map((uri) => store.readUri(uri, forever)));
  await store.readUri("s3://elsewhere/again", forever);
  expect(asked).toEqual(["HEAD elsewhere"]);
});

test("who gives up does not end the question for the others", async () => {
  await using store = openStore();
  const giver = new AbortController();
  const given = store.readUri("s3://elsewhere/1", giver.signal);
  const other = store.readUri("s3://elsewhere/2", forever);
  giver.abort(new Error("removed"));
  await expect(given).rejects.toThrow("removed");
  expect(regionOf(await other)).toBe("eu-west-1");
});

test("a busy server is asked again; one that stays busy is an error, and asked anew the next time", async () => {
  await using store = openStore();
  busyAnswers = 2;
  expect(regionOf(await store.readUri("s3://elsewhere/x", forever))).toBe("eu-west-1");
  busyAnswers = 1000;
  const unavailable = { code: "ARTIFACT_STORE_UNAVAILABLE" };
  await expect(store.readUri("s3://here/x", forever)).rejects.toMatchObject(unavailable);
  busyAnswers = 0;
  expect(regionOf(await store.readUri("s3://here/x", forever))).toBe("us-east-1");
});

test("a bucket that is not there is asked for again: it may come", async () => {
  await using store = openStore();
  const missing = { code: "ARTIFACT_NOT_FOUND" };
  await expect(store.readUri("s3://gone/x", forever)).rejects.toMatchObject(missing);
  await expect(store.size("s3://gone/x", forever)).rejects.toMatchObject(missing);
  expect(asked).toEqual(["HEAD gone", "HEAD gone"]);
});

test("AWS's own buckets are part of the path, in their region", async () => {
  // Nobody is asked here: the address is AWS's, and the region is learned from the stand-in's answers above.
  const { openConnection } = await import("../../src/drivers/artifacts/s3/connection.ts");
  const { readLink } = await import("../../src/drivers/artifacts/s3/presign.ts");
  using connection = openConnection("s3", { region: "eu-west-1", forcePathStyle: true });
  const address = { Bucket: "with.dots", Key: "a b/c" };
  const link = new URL(await readLink({ connection, key: "a b/c", address }, 1000));
  expect(link.origin).toBe("https://s3.eu-west-1.amazonaws.com");
  expect(link.pathname).toBe("/with.dots/a%20b/c");
});

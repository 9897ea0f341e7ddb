import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openGcsStore } from "../../src/drivers/artifacts/gcs/open-gcs-store.ts";
import { openArtifactStore } from "../../src/drivers/artifacts/index.ts";
import { describeArtifactStore } from "../conformance/artifact-store/describe-artifact-store.ts";
import { AMPLE, forever, readAll, textSource } from "../conformance/artifact-store/harness.ts";
import { type FakeGcs, startFakeGcs } from "../support/fake-gcs.ts";
import { freePort } from "../support/free-port.ts";

const MIB = 2 ** 20;

let fake: FakeGcs;
beforeAll(async () => {
  fake = await startFakeGcs();
});
afterAll(async () => fake[Symbol.asyncDispose]());

describeArtifactStore({
  name: "Google Cloud Storage (a stand-in: see fake-gcs.ts)",
  // The stand-in keeps it in this very process, so that memory is not measured here beyond its own.
  largeBytes: 8 * MIB,
  severalPiecesBytes: 20 * MIB,
  async open() {
    return {
      store: await openGcsStore({ bucket: "bucket", prefix: "some/prefix" }, "artifact_store", {
        endpoint: fake.endpoint,
      }),
      // What was begun and not finished is Google's to forget, after a week; it is never seen and never paid for.
      leftovers: async () => [],
      end: async () => undefined,
    };
  },
});

describe("what only Google's store has", () => {
  test("a root without a bucket takes it from the key", async () => {
    await using store = await openGcsStore({ bucket: undefined, prefix: "" }, "x", {
      endpoint: fake.endpoint,
    });
    await store.write("bucket/users/7/input.zip", textSource("rooted"), AMPLE, forever);
    expect(store.uriOf("bucket/users/7/input.zip")).toBe("gs://bucket/users/7/input.zip");
    expect(await readAll((await store.open("bucket/users/7/input.zip", undefined, forever)).contents)).toBe(
      "rooted",
    );
    await expect(store.info("bucket", forever)).rejects.toMatchObject({ code: "ARTIFACT_KEY_INVALID" });
  });

  test("I14: with nobody to reach it by, the error names the bucket", async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    await using store = await openGcsStore({ bucket: "far-bucket", prefix: "p" }, "x", { endpoint });
    await expect(store.check(forever)).rejects.toMatchObject({
      code: "ARTIFACT_STORE_UNAVAILABLE",
      message: expect.stringContaining("far-bucket") as string,
    });
  });

  test("I14: it is opened for gs:// and gcs:// without a word to anybody", async () => {
    vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json");
    try {
      for (const uri of ["gs://bucket/prefix", "gcs://bucket/prefix"]) {
        await using store = await openArtifactStore(uri, { setting: "artifact_store" });
        expect(store.name).toBe("gs://bucket/prefix");
        await expect(store.info("x", forever)).rejects.toMatchObject({ code: "ARTIFACT_STORE_DENIED" });
      }
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

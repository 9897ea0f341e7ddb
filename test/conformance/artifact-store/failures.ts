import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import {
  AMPLE,
  forever,
  longSource,
  readAll,
  type StoreKind,
  type StoreUnderTest,
  textSource,
} from "./harness.ts";

/** Whatever goes wrong, the key is as it was and nothing else is left. */
export function describeFailures(underTest: () => StoreUnderTest, kind: StoreKind): void {
  const sizes = [
    ["a few bytes", 10],
    ["several pieces", kind.severalPiecesBytes],
  ] as const;

  const expectUntouched = async (key: string, text: string | undefined): Promise<void> => {
    const { store, leftovers } = underTest();
    const info = await store.info(key, forever);
    if (text === undefined) expect(info).toBeUndefined();
    else expect(await readAll((await store.open(key, undefined, forever)).contents)).toBe(text);
    expect(await leftovers()).toEqual([]);
  };

  test.each(sizes)("a source that fails after %s leaves what was there", async (size, bytes) => {
    const { store } = underTest();
    const failure = new Error("the source broke");
    const source = async function* (): AsyncIterable<Uint8Array> {
      yield* longSource(bytes);
      throw failure;
    };
    const key = `f/source/${size.replaceAll(" ", "-")}`;
    await expect(store.write(key, source(), AMPLE, forever)).rejects.toBe(failure);
    await expectUntouched(key, undefined);
    await store.write(key, textSource("before"), AMPLE, forever);
    await expect(store.write(key, source(), AMPLE, forever)).rejects.toBe(failure);
    await expectUntouched(key, "before");
  });

  test.each(sizes)("more than is allowed, by a byte after %s, is refused", async (size, bytes) => {
    const key = `f/large/${size.replaceAll(" ", "-")}`;
    const writing = underTest().store.write(key, longSource(bytes), { maxBytes: bytes - 1 }, forever);
    await expect(writing).rejects.toMatchObject({ code: "ARTIFACT_TOO_LARGE" });
    await expectUntouched(key, undefined);
  });

  test.each(sizes)(
    "the wish to stop is obeyed while the source says nothing after %s",
    async (size, bytes) => {
      const stop = new AbortController();
      const source = async function* (): AsyncIterable<Uint8Array> {
        yield* longSource(bytes);
        setTimeout(() => stop.abort(reason), 20);
        await pause(3_600_000, undefined, { ref: false });
      };
      const reason = new Error("enough");
      const key = `f/stop/${size.replaceAll(" ", "-")}`;
      await expect(underTest().store.write(key, source(), AMPLE, stop.signal)).rejects.toBe(reason);
      await expectUntouched(key, undefined);
    },
  );

  test("a wish that came before changes nothing at all", async () => {
    const { store } = underTest();
    const gone = AbortSignal.abort(new Error("too late"));
    await store.write("f/kept", textSource("kept"), AMPLE, forever);
    const calls = [
      store.write("f/kept", textSource("x"), AMPLE, gone),
      store.info("f/kept", gone),
      store.open("f/kept", undefined, gone),
      store.move("f/kept", "f/moved", gone),
      store.remove("f/kept", gone),
      store.check(gone),
    ];
    // All at once: one that rejects while another is awaited would be nobody's.
    for (const end of await Promise.allSettled<unknown>(calls))
      expect(end.status === "rejected" && end.reason).toBe(gone.reason);
    await expectUntouched("f/kept", "kept");
  });
}

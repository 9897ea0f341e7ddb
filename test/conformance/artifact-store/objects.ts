import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { UNSAFE_NAMES } from "../../support/safe-names.ts";
import { AMPLE, forever, readAll, type StoreUnderTest, textSource } from "./harness.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

export function describeObjects(underTest: () => StoreUnderTest): void {
  const put = (key: string, text: string): Promise<unknown> =>
    underTest().store.write(key, textSource(text), AMPLE, forever);
  const get = async (key: string): Promise<string> =>
    readAll((await underTest().store.open(key, undefined, forever)).contents);

  test("what is written is read back, with its size, time and digest", async () => {
    const { store } = underTest();
    const before = Date.now();
    const written = await store.write("o/a/input.zip", textSource("hello"), AMPLE, forever);
    expect(written).toEqual({ bytes: 5, sha256: sha256("hello") });
    const info = await store.info("o/a/input.zip", forever);
    expect(info?.bytes).toBe(5);
    expect(Math.abs(info!.modifiedAtMs - before)).toBeLessThan(60_000);
    const opened = await store.open("o/a/input.zip", undefined, forever);
    expect(opened.bytes).toBe(5);
    expect(await readAll(opened.contents)).toBe("hello");
    expect(store.uriOf("o/a/input.zip")).toMatch(/^[a-z0-9]+:\/\/.*\/o\/a\/input\.zip$/);
  });

  test("an empty object is an object", async () => {
    await put("o/empty", "");
    expect(await underTest().store.info("o/empty", forever)).toMatchObject({ bytes: 0 });
    expect(await get("o/empty")).toBe("");
  });

  test("what is written again takes the place of what was there", async () => {
    await put("o/again", "first and longer");
    await put("o/again", "second");
    expect(await get("o/again")).toBe("second");
  });

  test("a part is read by its bytes, and an early end of reading harms nothing", async () => {
    const { store } = underTest();
    await put("o/part", "0123456789");
    const read = async (start: number, end: number): Promise<string> =>
      readAll((await store.open("o/part", { start, end }, forever)).contents);
    expect(await read(2, 5)).toBe("234");
    expect(await read(0, 1)).toBe("0");
    expect(await read(9, 10)).toBe("9");
    const whole = await store.open("o/part", { start: 2, end: 5 }, forever);
    expect(whole.bytes).toBe(10);
    expect(await readAll(whole.contents)).toBe("234");
    for await (const piece of (await store.open("o/part", undefined, forever)).contents) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    expect(await get("o/part")).toBe("0123456789");
  });

  test("what is not there is told as such, and may be removed all the same", async () => {
    const { store } = underTest();
    expect(await store.info("o/none/x", forever)).toBeUndefined();
    await expect(store.open("o/none/x", undefined, forever)).rejects.toMatchObject({
      code: "ARTIFACT_NOT_FOUND",
    });
    await store.remove("o/none/x", forever);
  });

  test("what is removed is gone", async () => {
    const { store } = underTest();
    await put("o/removed", "x");
    await store.remove("o/removed", forever);
    expect(await store.info("o/removed", forever)).toBeUndefined();
  });

  test("a moved object takes its new name, also where there is one, and moving again changes nothing", async () => {
    const { store } = underTest();
    await put("o/m/output.zip.2", "second try");
    await put("o/m/output.zip", "first try");
    await store.move("o/m/output.zip.2", "o/m/output.zip", forever);
    expect(await get("o/m/output.zip")).toBe("second try");
    expect(await store.info("o/m/output.zip.2", forever)).toBeUndefined();
    await store.move("o/m/output.zip.2", "o/m/output.zip", forever);
    expect(await get("o/m/output.zip")).toBe("second try");
    await expect(store.move("o/m/none", "o/m/nowhere", forever)).rejects.toMatchObject({
      code: "ARTIFACT_NOT_FOUND",
    });
  });

  test("of ten who write one key at once, one wins whole", async () => {
    const texts = Array.from({ length: 10 }, (_, i) => `${i}`.repeat(5000));
    await Promise.all(texts.map((text) => put("o/race", text)));
    expect(texts).toContain(await get("o/race"));
    expect(await underTest().leftovers()).toEqual([]);
  });

  test("files of this host are uploaded and downloaded, and one that is there is not written over", async () => {
    const { store } = underTest();
    const folder = await mkdtemp(join(tmpdir(), "hearth-files-"));
    try {
      const [from, to] = [join(folder, "from"), join(folder, "to")];
      await writeFile(from, "from a file");
      expect(await store.upload("o/file", from, forever)).toEqual({
        bytes: 11,
        sha256: sha256("from a file"),
      });
      expect(await store.download("o/file", to, AMPLE, forever)).toEqual({
        bytes: 11,
        sha256: sha256("from a file"),
      });
      expect(await readFile(to, "utf8")).toBe("from a file");
      await writeFile(to, "mine");
      await expect(store.download("o/file", to, AMPLE, forever)).rejects.toThrow();
      expect(await readFile(to, "utf8")).toBe("mine");
      await expect(store.download("o/none", join(folder, "none"), AMPLE, forever)).rejects.toMatchObject({
        code: "ARTIFACT_NOT_FOUND",
      });
      await expect(
        store.download("o/file", join(folder, "small"), { maxBytes: 3 }, forever),
      ).rejects.toMatchObject({
        code: "ARTIFACT_TOO_LARGE",
      });
      await expect(stat(join(folder, "small"))).rejects.toMatchObject({ code: "ENOENT" });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("H9: names that could lead astray are refused by every method, and nothing comes of them", async () => {
    const { store } = underTest();
    expect(UNSAFE_NAMES.length).toBeGreaterThanOrEqual(200);
    const invalid = { code: "ARTIFACT_KEY_INVALID" };
    for (const key of UNSAFE_NAMES) {
      await expect(store.write(key, textSource("x"), AMPLE, forever), key).rejects.toMatchObject(invalid);
      await expect(store.open(key, undefined, forever), key).rejects.toMatchObject(invalid);
      await expect(store.info(key, forever), key).rejects.toMatchObject(invalid);
      await expect(store.remove(key, forever), key).rejects.toMatchObject(invalid);
      await expect(store.move(key, "o/x", forever), key).rejects.toMatchObject(invalid);
      await expect(store.move("o/part", key, forever), key).rejects.toMatchObject(invalid);
      expect(() => store.uriOf(key), key).toThrow(expect.objectContaining(invalid));
    }
    expect(await underTest().leftovers()).toEqual([]);
  });

  test("it says that it can be used", async () => {
    await underTest().store.check(forever);
    expect(await underTest().leftovers()).toEqual([]);
  });
}

import { describe, expect, test } from "vitest";
import type { NewRun, RunEnding, RunLimits, RunMark, RunRecord, RunStore } from "../../src/core/index.ts";
import { asId } from "../../src/core/index.ts";

const AMPLE: RunLimits = { runs: 100, ageMs: 1000, bytes: 1_000_000 };

export interface RunStoreUnderTest {
  /** Opens an empty store; `nowMs` is its clock. */
  open(limits: RunLimits, nowMs: () => number): Promise<RunStore>;
}

/** What every store of runs promises. */
export function describeRunStore(name: string, underTest: RunStoreUnderTest): void {
  const open = (limits: Partial<RunLimits> = {}, nowMs = () => 0): Promise<RunStore> =>
    underTest.open({ ...AMPLE, ...limits }, nowMs);

  describe(`run store: ${name}`, () => {
    test("a run is running from its beginning to its end, and then shows how it ended", async () => {
      await using store = await open();
      expect(await store.begin(newRun("a"))).toBeUndefined();
      expect(await store.get(id("a"))).toMatchObject({
        image: "echo:1",
        end: undefined,
        endedAtMs: undefined,
      });
      await store.end(id("a"), answered("hello"));
      const run = await store.get(id("a"));
      expect(run?.end).toEqual({
        type: "answered",
        status: 200,
        contentType: "text/plain",
        bytes: 5,
        isKept: true,
      });
      expect(run?.placement?.sandboxId).toBe("s1");
      expect(new TextDecoder().decode(await store.answer(id("a")))).toBe("hello");
    });

    test("the first end of a run is the one that counts", async () => {
      await using store = await open();
      await store.begin(newRun("a"));
      await store.end(id("a"), failed("PAUSED"));
      await store.end(id("a"), answered("late"));
      expect((await store.get(id("a")))?.end).toEqual({
        type: "failed",
        code: "PAUSED",
        facts: { field: "x" },
      });
      expect(await store.answer(id("a"))).toBeUndefined();
    });

    test("an end for a run that nobody knows changes nothing", async () => {
      await using store = await open();
      await store.end(id("ghost"), answered("x"));
      expect(await store.get(id("ghost"))).toBeUndefined();
      expect(await store.answer(id("ghost"))).toBeUndefined();
    });

    test("of ten callers with one key exactly one begins a run, and the others meet it", async () => {
      await using store = await open();
      const names = Array.from({ length: 10 }, (_, i) => `r${i}`);
      const held = await Promise.all(names.map((name) => store.begin(newRun(name, { key: "k" }))));
      expect(held.filter((holder) => holder === undefined)).toHaveLength(1);
      const winner = names[held.indexOf(undefined)];
      expect(new Set(held.flatMap((holder) => holder?.runId ?? []))).toEqual(new Set([winner]));
      expect(await all(store)).toHaveLength(1);
    });

    test("a key stays with its run after the end, unless the end frees it", async () => {
      await using store = await open();
      await store.begin(newRun("a", { key: "k" }));
      await store.end(id("a"), answered("x"));
      expect(await store.begin(newRun("b", { key: "k" }))).toMatchObject({ runId: "a", fingerprint: "f" });
      await store.begin(newRun("c", { key: "free" }));
      await store.end(id("c"), { ...failed("PAUSED"), freesKey: true });
      expect(await store.begin(newRun("d", { key: "free" }))).toBeUndefined();
    });

    test("runs that have not ended are listed newest first, and no more than asked for", async () => {
      await using store = await open();
      for (const [i, name] of ["a", "b", "c", "d"].entries())
        await store.begin(newRun(name, { createdAtMs: i }));
      await store.end(id("d"), answered("x"));
      expect(namesOf(await store.running(2))).toEqual(["c", "b"]);
      expect(namesOf(await store.running(10))).toEqual(["c", "b", "a"]);
    });

    test("ended runs are listed by their end, the last first, page by page without one twice or left out", async () => {
      await using store = await open();
      const endings = { a: 5, b: 9, c: 5, d: 1, e: 5, f: 7 };
      for (const [name, endedAtMs] of Object.entries(endings)) {
        await store.begin(newRun(name));
        await store.end(id(name), { ...answered("x"), endedAtMs });
      }
      await store.begin(newRun("running"));
      const seen: string[] = [];
      let before: RunMark | undefined;
      for (let page = 0; page < 4; page += 1) {
        const runs = await store.ended(2, before);
        seen.push(...namesOf(runs));
        const last = runs.at(-1);
        if (last !== undefined) before = { endedAtMs: last.endedAtMs ?? 0, runId: last.runId };
      }
      expect(seen).toEqual(["b", "f", "e", "c", "a", "d"]);
    });

    test("an ended run is forgotten after its age, with its key; a running one never is", async () => {
      let now = 0;
      await using store = await open({ ageMs: 1000 }, () => now);
      await store.begin(newRun("ended", { key: "k" }));
      await store.end(id("ended"), answered("x"));
      await store.begin(newRun("running"));
      now = 1001;
      expect(namesOf(await all(store))).toEqual(["running"]);
      expect(await store.answer(id("ended"))).toBeUndefined();
      expect(await store.begin(newRun("again", { key: "k" }))).toBeUndefined();
    });

    test("above the bound on runs those without a key go first, and running ones stay", async () => {
      await using store = await open({ runs: 2 });
      await store.begin(newRun("keyed", { key: "k" }));
      await store.end(id("keyed"), answered("x"));
      await store.begin(newRun("plain"));
      await store.end(id("plain"), answered("x"));
      for (const name of ["r1", "r2", "r3"]) await store.begin(newRun(name, { createdAtMs: 5 }));
      const left = namesOf(await all(store));
      expect(left.filter((runId) => runId.startsWith("r"))).toHaveLength(3);
      expect(left).not.toContain("plain");
    });

    test("above the bound on bytes the oldest answers go and their runs stay", async () => {
      await using store = await open({ bytes: 10 });
      for (const [i, name] of ["a", "b", "c"].entries()) {
        await store.begin(newRun(name, { createdAtMs: i }));
        await store.end(id(name), { ...answered("12345"), endedAtMs: i });
      }
      expect(await store.answer(id("a"))).toBeUndefined();
      expect((await store.get(id("a")))?.end).toMatchObject({ type: "answered", isKept: false });
      expect((await store.get(id("b")))?.end).toMatchObject({ type: "answered", isKept: true });
      expect((await store.answer(id("c")))?.length).toBe(5);
    });

    test("bytes of an answer come back as they were", async () => {
      await using store = await open();
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      await store.begin(newRun("a"));
      await store.end(id("a"), { ...answered("x"), answer: bytes });
      expect([...((await store.answer(id("a"))) ?? [])]).toEqual([...bytes]);
    });
  });
}

async function all(store: RunStore): Promise<readonly RunRecord[]> {
  return [...(await store.running(100)), ...(await store.ended(100))];
}

function namesOf(runs: readonly RunRecord[]): string[] {
  return runs.map(({ runId }) => runId);
}

function id(name: string): ReturnType<typeof asId<"run">> {
  return asId<"run">(name);
}

export function newRun(name: string, more: Partial<NewRun> = {}): NewRun {
  return { runId: id(name), image: "echo:1", createdAtMs: 0, key: undefined, fingerprint: "f", ...more };
}

export function answered(text: string): RunEnding {
  const answer = new TextEncoder().encode(text);
  return {
    end: { type: "answered", status: 200, contentType: "text/plain", bytes: answer.length, isKept: true },
    endedAtMs: 0,
    placement: {
      sandboxId: asId<"sandbox">("s1"),
      isolation: "container",
      imageDigest: "sha256:0",
      start: "cold",
      waitedMs: 1,
      phases: { createMs: 1, startMs: 2, readyMs: 3 },
      warnings: [],
    },
    answer,
    freesKey: false,
  };
}

export function failed(code: "PAUSED"): RunEnding {
  return {
    end: { type: "failed", code, facts: { field: "x" } },
    endedAtMs: 0,
    placement: undefined,
    answer: undefined,
    freesKey: false,
  };
}

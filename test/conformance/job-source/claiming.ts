import { expect, test } from "vitest";
import { claimOne, completed, type OpenQueueWorld, STREAM_A, STREAM_B, signal } from "./world.ts";

/** Long enough for a look that finds nothing, also where a machine stands still in between. */
const WHILE_MS = 4000;

export function describeClaiming(open: OpenQueueWorld): void {
  test("I1: an entry goes to exactly one of three hosts, and is held while it runs and not after", async () => {
    await using world = await open();
    const hosts = await Promise.all(["h1", "h2", "h3"].map(async (name) => await world.open(name)));
    const ask = () => hosts.map(async (host) => await host.claim(1, 500, signal()));
    const asked = ask();
    const entryId = await world.add(STREAM_A, { id: "job-1", method: "m", note: "äöü {}" });
    let answers = await Promise.all(asked);
    // All of them had given up before it came.
    if (answers.flat().length === 0) answers = await Promise.all(ask());
    const claims = answers.flat();
    expect(claims).toHaveLength(1);
    expect(claims[0]).toMatchObject({
      stream: STREAM_A,
      entryId,
      jobId: "job-1",
      attempt: 1,
      deaths: 0,
      failures: 0,
      isOwn: false,
      fields: { id: "job-1", method: "m", note: "äöü {}" },
    });
    expect(await world.held()).toBe(1);
    const holder = hosts[answers.findIndex((answer) => answer.length > 0)];
    expect(await holder?.commit(claims[0]!, completed("job-1"))).toBe("committed");
    expect(await world.held()).toBe(0);
  });

  test("never more than asked for, over several streams, and none of them is starved", async () => {
    await using world = await open();
    for (let at = 0; at < 20; at += 1) await world.add(STREAM_A, { id: `a${at}` });
    for (let at = 0; at < 3; at += 1) await world.add(STREAM_B, { id: `b${at}` });
    const host = await world.open("h1");
    const first = await host.claim(3, 1000, signal());
    expect(first).toHaveLength(3);
    expect(await world.held()).toBe(3);
    const ids = first.map(({ jobId }) => jobId);
    for (let at = 0; at < 6; at += 1) ids.push((await claimOne(host)).jobId);
    expect(ids.filter((id) => id.startsWith("b")).length).toBeGreaterThan(0);
    expect(ids.filter((id) => id.startsWith("a")).length).toBeGreaterThan(0);
    expect(await world.held()).toBe(9);
  });

  test("claims come in the order of their stream", async () => {
    await using world = await open();
    for (let at = 0; at < 10; at += 1) await world.add(STREAM_A, { id: `j${at}` });
    const host = await world.open("h1");
    const ids: string[] = [];
    while (ids.length < 10) ids.push(...(await host.claim(4, 1000, signal())).map(({ jobId }) => jobId));
    expect(ids).toEqual(Array.from({ length: 10 }, (_, at) => `j${at}`));
  });

  test("waits for an entry as long as it was told, and wakes when one comes", async () => {
    await using world = await open();
    const host = await world.open("h1");
    expect(await host.claim(1, 50, signal())).toEqual([]);
    const waiting = host.claim(1, 60_000, signal());
    await world.add(STREAM_B, { id: "late" });
    expect((await waiting)[0]?.jobId).toBe("late");
  });

  test("a claim that is given up rejects with the reason, and leaves nothing held", async () => {
    await using world = await open();
    const host = await world.open("h1");
    for (let round = 0; round < 20; round += 1) {
      const giveUp = new AbortController();
      const waiting = host.claim(5, 10_000, giveUp.signal);
      const added = world.add(STREAM_A, { id: `r${round}` });
      if (round % 2 === 0) await added;
      giveUp.abort(new Error("no more"));
      const claims = await waiting.catch((error: unknown) => {
        expect(String(error)).toContain("no more");
        return [];
      });
      await added;
      for (const claim of claims) await host.commit(claim, completed(claim.jobId));
    }
    const left: string[] = [];
    for (;;) {
      const claims = await host.claim(50, 500, signal());
      if (claims.length === 0) break;
      // Handed back in between, and nobody has died.
      for (const claim of claims) {
        expect(claim.deaths).toBe(0);
        left.push(claim.jobId);
        await host.commit(claim, completed(claim.jobId));
      }
    }
    expect(await world.held()).toBe(0);
    const ended = (await world.events()).map(({ json }) => json["id"]);
    expect(new Set(ended).size).toBe(20);
    expect(ended).toHaveLength(20);
  });

  test("an entry without an id that is safe is named by its place, and unlike another stream's", async () => {
    await using world = await open();
    const bad = ["../../etc", "a/b", "", ".hidden", "a..b", "x".repeat(129), "sp ace", "line\nfeed"];
    for (const id of bad) await world.add(STREAM_A, { id });
    await world.add(STREAM_B, { method: "m" });
    const host = await world.open("h1");
    const claims = await host.claim(20, 1000, signal());
    expect(claims).toHaveLength(9);
    for (const { jobId } of claims) expect(jobId).toMatch(/^[0-9]+-[0-9]+\.[A-Za-z0-9_]+$/);
    expect(new Set(claims.map(({ jobId }) => jobId)).size).toBe(9);
  });

  test("what a host cannot run is anybody else's at once, and its own only after a while", async () => {
    await using world = await open(WHILE_MS);
    const [small, large] = [await world.open("small"), await world.open("large")];
    for (let at = 0; at < 5; at += 1) await world.add(STREAM_A, { id: `j${at}` });
    const claims = await small.claim(4, 1000, signal());
    await small.release(claims, "too large", "elsewhere");
    // Neither the rest of the stream nor what others hand back is kept from it.
    const last = await claimOne(small);
    expect(last.jobId).toBe("j4");
    await small.release([last], "somebody's turn");
    expect((await claimOne(small)).jobId).toBe("j4");
    expect(await small.claim(5, 400, signal())).toEqual([]);
    const taken = await large.claim(2, 1000, signal());
    expect(taken).toMatchObject([
      { jobId: "j0", attempt: 2, deaths: 0, failures: 0 },
      { jobId: "j1", attempt: 2, deaths: 0, failures: 0 },
    ]);
    for (const claim of taken) expect(await large.commit(claim, completed(claim.jobId))).toBe("committed");
    const again: string[] = [];
    while (again.length < 2)
      again.push(...(await small.claim(5, WHILE_MS * 3, signal())).map(({ jobId }) => jobId));
    expect(again).toEqual(["j2", "j3"]);
  });

  test("ten hosts share two hundred entries, and none is given out twice", async () => {
    await using world = await open();
    for (let at = 0; at < 200; at += 1) await world.add(at % 2 === 0 ? STREAM_A : STREAM_B, { id: `j${at}` });
    const hosts = await Promise.all(
      Array.from({ length: 10 }, async (_, at) => await world.open(`host-${at}`)),
    );
    const seen: string[] = [];
    await Promise.all(
      hosts.map(async (host) => {
        for (;;) {
          const claims = await host.claim(2, 300, signal());
          if (claims.length === 0) return;
          for (const claim of claims) {
            seen.push(claim.jobId);
            expect(await host.commit(claim, completed(claim.jobId))).toBe("committed");
          }
        }
      }),
    );
    expect(seen).toHaveLength(200);
    expect(new Set(seen).size).toBe(200);
    expect(await world.held()).toBe(0);
  });
}

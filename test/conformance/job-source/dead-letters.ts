import { expect, test } from "vitest";
import { claimOne, completed, type OpenQueueWorld, STREAM_A, STREAM_B, signal } from "./world.ts";

export function describeDeadLetters(open: OpenQueueWorld): void {
  test("F6: an entry that is put aside is listed with its reason, and blocks nobody", async () => {
    await using world = await open();
    const host = await world.open("h1");
    const entryId = await world.add(STREAM_A, { id: "../bad", note: "ü" });
    await world.add(STREAM_A, { id: "good" });
    const claim = await claimOne(host);
    const event = { type: "TaskCompleted", json: { id: claim.jobId, status: "failed" } };
    expect(await host.deadLetter(claim, "its id is not safe", [event])).toBe("committed");
    expect(await host.deadLetter(claim, "its id is not safe", [event])).toBe("committed");
    const good = await claimOne(host);
    expect(good.jobId).toBe("good");
    await host.commit(good, completed("good"));
    const letters = await host.deadLetters(10, signal());
    expect(letters).toHaveLength(1);
    expect(letters[0]).toMatchObject({
      stream: STREAM_A,
      entryId,
      jobId: claim.jobId,
      reason: "its id is not safe",
      deaths: 0,
      fields: { id: "../bad", note: "ü" },
    });
    expect(letters[0]?.atMs).toBeGreaterThan(0);
    expect(await world.held()).toBe(0);
    expect((await world.events()).map(({ json }) => json["id"])).toEqual([claim.jobId, "good"]);
    expect(host.figures.deadLettered).toBeGreaterThan(0);
  });

  test("dead entries go back on their streams, once each, and begin anew", async () => {
    await using world = await open();
    const host = await world.open("h1");
    const other = await world.open("h2");
    for (const stream of [STREAM_A, STREAM_B, STREAM_A]) {
      await world.add(stream, { id: `dead-${stream}-${Math.random()}`, n: "1" });
    }
    for (let at = 0; at < 3; at += 1) await host.deadLetter(await claimOne(host), "thrice", []);
    const letters = await other.deadLetters(10, signal());
    expect(letters).toHaveLength(3);
    expect(await host.deadLetters(2, signal())).toEqual(letters.slice(0, 2));
    const chosen = letters.slice(0, 1).map(({ id }) => id);
    const counts = await Promise.all([host.replay(chosen, signal()), other.replay(chosen, signal())]);
    expect(counts.toSorted()).toEqual([0, 1]);
    expect(await host.replay(["1-1", "no such id"], signal())).toBe(0);
    expect(await host.replay("all", signal())).toBe(2);
    expect(await host.deadLetters(10, signal())).toEqual([]);
    const back = [await claimOne(host), await claimOne(host), await claimOne(host)];
    expect(back.map(({ jobId }) => jobId).sort()).toEqual(letters.map(({ jobId }) => jobId).sort());
    for (const claim of back) expect(claim).toMatchObject({ attempt: 1, deaths: 0 });
    expect(await host.claim(1, 200, signal())).toEqual([]);
    for (const claim of back) expect(await host.commit(claim, completed(claim.jobId))).toBe("committed");
  });
}

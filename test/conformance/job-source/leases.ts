import { expect, test } from "vitest";
import type { Claim } from "../../../src/core/index.ts";
import { poll } from "../../support/poll.ts";
import { rowWithin } from "../../support/slack.ts";
import { claimOne, completed, LEASE_MS, type OpenQueueWorld, STREAM_A, signal } from "./world.ts";

export function describeLeases(open: OpenQueueWorld): void {
  test("a renewal that its own commit has overtaken finds nothing lost and nothing vanished", async () => {
    await using world = await open();
    const host = await world.open("one");
    for (let round = 0; round < 10; round += 1) {
      await world.add(STREAM_A, { id: `k${round}` });
      const claim = await claimOne(host);
      const [result, lost] = await Promise.all([
        host.commit(claim, completed(`k${round}`)),
        host.renew([claim]),
      ]);
      expect(result).toBe("committed");
      expect(lost).toEqual([]);
      expect(await host.renew([claim])).toEqual([]);
    }
    expect(host.figures).toMatchObject({ committed: 10, lost: 0, vanished: 0 });
    expect(await world.held()).toBe(0);
  });

  test("what is renewed is taken by nobody, however long it takes", async () => {
    await using world = await open(LEASE_MS);
    const [one, two] = [await world.open("h1"), await world.open("h2")];
    let renewals = 0;
    for (let tries = 0; renewals < 9; tries += 1) {
      expect(tries).toBeLessThan(20);
      const id = `long${tries}`;
      await world.add(STREAM_A, { id });
      let renewedAtMs = performance.now();
      const claim = await claimOne(one);
      let taken: Claim | undefined;
      for (renewals = 0; renewals < 9 && taken === undefined; renewals += 1) {
        [taken] = await two.claim(1, LEASE_MS / 3, signal());
        // What this test was too late to renew, because the machine stood still, is rightly taken: begin anew.
        if (taken !== undefined) expect(performance.now() - renewedAtMs).toBeGreaterThanOrEqual(LEASE_MS);
        renewedAtMs = performance.now();
        expect(await one.renew([claim])).toHaveLength(taken === undefined ? 0 : 1);
      }
      if (taken !== undefined) renewals = 0;
      const [holder, held] = taken === undefined ? [one, claim] : [two, taken];
      expect(await holder.commit(held, completed(id))).toBe("committed");
    }
  });

  test("F: the entries of a host that says nothing are taken over, and it can complete nothing when it wakes", async () => {
    await using world = await open(LEASE_MS);
    const [one, two] = [await world.open("h1"), await world.open("h2")];
    await world.add(STREAM_A, { id: "job" });
    const first = await claimOne(one);
    const second = await claimOne(two);
    expect(second).toMatchObject({ jobId: "job", attempt: 2, deaths: 1, isOwn: false });
    expect(await one.renew([first])).toEqual([first]);
    expect(await one.publish([{ type: "TaskStarted", json: { id: "job" } }], first)).toBe(false);
    expect(await one.commit(first, completed("job", "failed"))).toBe("lost");
    expect(await one.deadLetter(first, "late", [])).toBe("lost");
    await one.release([first], "late");
    expect(await two.renew([second])).toEqual([]);
    expect(await two.commit(second, completed("job"))).toBe("committed");
    expect(await one.commit(first, completed("job", "failed"))).toBe("recorded");
    expect(await world.events()).toEqual(completed("job").events);
    expect(await world.held()).toBe(0);
    expect(two.figures.takenOver).toBe(1);
    expect(one.figures.lost).toBeGreaterThan(0);
  });

  test("each life that ends with it counts as a death, and nothing else does", async () => {
    await using world = await open(LEASE_MS);
    await world.add(STREAM_A, { id: "poison" });
    for (let at = 0; at < 3; at += 1) {
      const host = await world.open(`h${at}`);
      const claim = await claimOne(host);
      expect(claim).toMatchObject({ deaths: at });
      await host.release([claim], "not now");
      const again = await claimOne(host);
      expect(again).toMatchObject({ deaths: at, attempt: claim.attempt + 1, isOwn: false });
      await host[Symbol.asyncDispose]();
    }
  });

  test("I13: what is handed back is another host's within a second, and the first one may leave", async () => {
    await using world = await open();
    const one = await world.open("h1");
    for (let at = 0; at < 10; at += 1) await world.add(STREAM_A, { id: `j${at}` });
    const claims = await one.claim(10, 2000, signal());
    expect(claims).toHaveLength(10);
    expect(await one.leave(signal())).toBe(false);
    const two = await world.open("h2");
    const waiting = claimOne(two);
    await one.release(claims, "draining");
    expect(await one.leave(signal())).toBe(true);
    const got = [await waiting];
    await poll(
      "the second host has them all",
      async () => {
        got.push(...(await two.claim(10, 100, signal())));
        return got.length === 10 || `${got.length}`;
      },
      rowWithin(1000),
    );
    expect(got.map(({ jobId }) => jobId).sort()).toEqual(claims.map(({ jobId }) => jobId).sort());
    for (const claim of got) expect(claim).toMatchObject({ attempt: 2, deaths: 0, isOwn: false });
    expect(await one.commit(claims[0]!, completed("j0"))).toBe("lost");
    expect(one.figures.released).toBe(10);
    expect(await two.leave(signal())).toBe(false);
  });

  test("what a host could not see to its end is counted over all hosts; what it hands back is not", async () => {
    await using world = await open();
    const one = await world.open("h1");
    await world.add(STREAM_A, { id: "job" });
    const first = await claimOne(one);
    await one.release([first], "its sandbox was lost", "failed");
    // Said again, as after an answer that was lost on its way.
    await one.release([first], "its sandbox was lost", "failed");
    const two = await world.open("h2");
    const second = await claimOne(two);
    expect(second).toMatchObject({ attempt: 2, deaths: 0, failures: 1 });
    await two.release([second], "draining");
    expect(await claimOne(one)).toMatchObject({ attempt: 3, deaths: 0, failures: 1 });
  });

  test("I12: a host that comes back knows when it has been given all of its own, and what others took is not among it", async () => {
    await using world = await open();
    const before = await world.open("h1");
    for (const id of ["a", "b", "gone"]) await world.add(STREAM_A, { id });
    const claims = await before.claim(3, 2000, signal());
    await before.release([claims[2]!], "not now");
    await before[Symbol.asyncDispose]();
    const other = await world.open("h2");
    expect(await claimOne(other)).toMatchObject({ jobId: "gone" });
    for (let at = 0; at < 5; at += 1) await world.add(STREAM_A, { id: `new${at}` });
    const after = await world.open("h1");
    expect(after.hasGivenOwn).toBe(false);
    expect(await after.claim(1, 2000, signal())).toMatchObject([{ isOwn: true }]);
    expect(after.hasGivenOwn).toBe(false);
    const rest = await after.claim(3, 2000, signal());
    expect(rest.map(({ isOwn }) => isOwn)).toEqual([true, false, false]);
    expect(after.hasGivenOwn).toBe(true);
  });

  test("a host that comes back finds its own first, with the attempt they had", async () => {
    await using world = await open();
    const before = await world.open("h1");
    await world.add(STREAM_A, { id: "mine" });
    const first = await claimOne(before);
    await before[Symbol.asyncDispose]();
    await world.add(STREAM_A, { id: "new" });
    const after = await world.open("h1");
    const own = await claimOne(after);
    expect(own).toMatchObject({ jobId: "mine", attempt: first.attempt, deaths: 1, isOwn: true });
    const kept = await after.resume(own, "goes-on");
    expect(kept).toMatchObject({ attempt: first.attempt, deaths: 0 });
    expect(await after.commit(kept!, completed("mine"))).toBe("committed");
    expect((await claimOne(after)).jobId).toBe("new");
  });

  test("an own entry whose work is gone is begun anew as the next attempt, and the death counts", async () => {
    await using world = await open();
    const before = await world.open("h1");
    await world.add(STREAM_A, { id: "mine" });
    const first = await claimOne(before);
    const after = await world.open("h1");
    const own = await claimOne(after);
    const anew = await after.resume(own, "anew");
    expect(anew).toMatchObject({ attempt: 2, deaths: 1, jobId: "mine" });
    // The earlier life still runs somewhere: it is another host to the fence.
    expect(await before.commit(first, completed("mine", "failed"))).toBe("lost");
    expect(await after.commit(own, completed("mine", "failed"))).toBe("lost");
    expect(await after.resume(own, "goes-on")).toBeUndefined();
    expect(await after.commit(anew!, completed("mine"))).toBe("committed");
    expect(await world.events()).toEqual(completed("mine").events);
  });

  test("A4: an entry whose job has its completion is acknowledged, and given to nobody", async () => {
    await using world = await open();
    const host = await world.open("h1");
    await world.add(STREAM_A, { id: "twice" });
    await world.add(STREAM_A, { id: "twice" });
    const [first, second] = await host.claim(2, 2000, signal());
    expect(await host.commit(first!, completed("twice"))).toBe("committed");
    expect(await host.commit(second!, completed("twice"))).toBe("recorded");
    await world.add(STREAM_A, { id: "twice" });
    expect(await host.claim(1, 300, signal())).toEqual([]);
    expect(await world.held()).toBe(0);
    expect(await world.events()).toHaveLength(1);
  });

  test("F8: an entry that somebody deletes is counted, and its holder may still complete it", async () => {
    await using world = await open();
    const host = await world.open("h1");
    const entryId = await world.add(STREAM_A, { id: "gone" });
    const claim = await claimOne(host);
    await world.delete(STREAM_A, entryId);
    expect(await host.renew([claim])).toEqual([]);
    expect(await host.renew([claim])).toEqual([]);
    expect(host.figures.vanished).toBe(1);
    expect(await host.commit(claim, completed("gone"))).toBe("committed");
    expect(await world.held()).toBe(0);
  });
}

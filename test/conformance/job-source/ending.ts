import { expect, test } from "vitest";
import type { Claim, JobSource } from "../../../src/core/index.ts";
import { claimOne, completed, type OpenQueueWorld, STREAM_A, signal } from "./world.ts";

export function describeEnding(open: OpenQueueWorld): void {
  test("I9: a completion comes with its events, once each, however often it is said", async () => {
    await using world = await open();
    const host = await world.open("h1");
    await world.add(STREAM_A, { id: "j" });
    const claim = await claimOne(host);
    expect(await host.publish([{ type: "TaskStarted", json: { id: "j", text: "ü\n" } }], claim)).toBe(true);
    const said = await Promise.all([
      host.commit(claim, completed("j")),
      host.commit(claim, completed("j")),
      host.commit(claim, completed("j")),
    ]);
    expect(said).toEqual(["committed", "committed", "committed"]);
    expect(await host.commit(claim, completed("j"))).toBe("committed");
    expect((await world.events()).map(({ type }) => type)).toEqual(["TaskStarted", "TaskCompleted"]);
    expect((await world.events())[0]?.json).toEqual({ id: "j", text: "ü\n" });
  });

  test("what a host says of an attempt is said once, in whichever of its lives, and anew of the next attempt", async () => {
    await using world = await open();
    const say = async (host: JobSource, claim: Claim, n: number): Promise<boolean> =>
      await host.publish([{ type: "TaskStarted", json: { n } }], claim);
    await world.add(STREAM_A, { id: "j" });
    const one = await world.open("h1");
    const claim = await claimOne(one);
    expect([await say(one, claim, 1), await say(one, claim, 2)]).toEqual([true, true]);
    const two = await world.open("h1");
    const own = await claimOne(two);
    expect(own).toMatchObject({ isOwn: true, attempt: 1 });
    expect(await say(one, claim, 3)).toBe(false);
    const goesOn = await two.resume(own, "goes-on");
    expect(await say(two, goesOn!, 4)).toBe(true);
    const anew = await two.resume(own, "anew");
    expect(anew).toMatchObject({ attempt: 2 });
    expect([await say(two, anew!, 5), await say(two, anew!, 6)]).toEqual([true, true]);
    expect((await world.events()).map(({ json }) => json)).toEqual([{ n: 1 }, { n: 5 }]);
  });

  test("of two attempts that both end, one completes the job", async () => {
    await using world = await open();
    const hosts = [await world.open("h1"), await world.open("h2")];
    await world.add(STREAM_A, { id: "same" });
    await world.add(STREAM_A, { id: "same" });
    const claims = [await claimOne(hosts[0]!), await claimOne(hosts[1]!)];
    const results = await Promise.all(
      hosts.map(async (host, at) => await host.commit(claims[at]!, completed("same", `by ${at}`))),
    );
    expect(results.toSorted()).toEqual(["committed", "recorded"]);
    expect(await world.events()).toEqual(completed("same", `by ${results.indexOf("committed")}`).events);
    expect(await world.held()).toBe(0);
  });

  test("events of a host go out in the order that they were said in", async () => {
    await using world = await open();
    const host = await world.open("h1");
    const said = Array.from({ length: 50 }, (_, at) => ({ type: "E", json: { at } }));
    const heard = await Promise.all(said.map(async (event) => await host.publish([event])));
    expect(heard.every((isHeard) => isHeard)).toBe(true);
    expect(await world.events()).toEqual(said);
  });

  test("many completions of one moment are all recorded", async () => {
    await using world = await open();
    const host = await world.open("h1");
    for (let at = 0; at < 100; at += 1) await world.add(STREAM_A, { id: `j${at}` });
    const claims = [...(await host.claim(100, 2000, signal()))];
    expect(claims).toHaveLength(100);
    const results = await Promise.all(
      claims.map(async (claim) => await host.commit(claim, completed(claim.jobId))),
    );
    expect(new Set(results)).toEqual(new Set(["committed"]));
    expect(await world.held()).toBe(0);
    expect(await world.events()).toHaveLength(100);
    expect(host.figures).toMatchObject({ claimed: 100, committed: 100, lost: 0, buffered: 0 });
    expect(await host.leave(signal())).toBe(true);
  });

  test("a source that is closed says so", async () => {
    await using world = await open();
    const host = await world.open("h1");
    await host[Symbol.asyncDispose]();
    await expect(host.claim(1, 10, signal())).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE" });
  });
}

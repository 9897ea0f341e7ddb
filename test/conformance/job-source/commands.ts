import { expect, test } from "vitest";
import { poll } from "../../support/poll.ts";
import type { OpenQueueWorld } from "./world.ts";

export function describeCommands(open: OpenQueueWorld): void {
  test("a message to a job is heard, also one that was sent before anybody listened", async () => {
    await using world = await open();
    const host = await world.open("h1");
    await world.send("early", "kill");
    const heard: string[] = [];
    const stop = new AbortController();
    for (const jobId of ["early", "late", "other"]) {
      await host.watchCommands(jobId, (message) => heard.push(`${jobId} ${message}`), stop.signal);
    }
    await poll("the early one", () => heard.includes("early kill") || heard.join());
    await world.send("late", "kill");
    await world.send("nobody", "kill");
    await poll("the late one", () => heard.includes("late kill") || heard.join());
    expect(heard).toEqual(["early kill", "late kill"]);
    stop.abort();
  });

  test("D7: whoever waits for the first look has heard all that was sent before", async () => {
    await using world = await open();
    const host = await world.open("h1");
    for (const message of ["dance", "kill", "sing"]) await world.send("busy", message);
    const heard: string[] = [];
    const stop = new AbortController();
    await Promise.all([
      host.watchCommands("quiet", (message) => heard.push(message), stop.signal),
      host.watchCommands("busy", (message) => heard.push(message), stop.signal),
    ]);
    expect(heard).toEqual(["dance", "kill", "sing"]);
    stop.abort();
    await host.watchCommands("late", () => undefined, stop.signal);
  });

  test("after its end nobody hears for a job, and the others are heard all the same", async () => {
    await using world = await open();
    const host = await world.open("h1");
    const heard: string[] = [];
    const [one, two] = [new AbortController(), new AbortController()];
    await host.watchCommands("one", (message) => heard.push(`one ${message}`), one.signal);
    await host.watchCommands("two", (message) => heard.push(`two ${message}`), two.signal);
    one.abort();
    await world.send("two", "anything at all");
    await poll("the second", () => heard.length > 0 || "nothing");
    expect(heard).toEqual(["two anything at all"]);
    two.abort();
    await host.watchCommands("three", (message) => heard.push(message), AbortSignal.abort());
  });
}

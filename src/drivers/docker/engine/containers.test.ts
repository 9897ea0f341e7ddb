import type Docker from "dockerode";
import { expect, test } from "vitest";
import { EngineCaller } from "./caller.ts";
import { ContainerClient } from "./containers.ts";

const LOST = Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });

/** What an engine does at each call: the state that it leaves a container in, or how it fails. */
type Step = Error | string;

/** An engine whose starts and looks go as the test says, one after the other; the last one goes on. */
function scripted(starts: readonly Step[], looks: readonly Step[]) {
  const asked: string[] = [];
  const next = (verb: string, steps: readonly Step[]): Step => {
    const nth = asked.filter((one) => one === verb).length;
    asked.push(verb);
    return steps[Math.min(nth, steps.length - 1)] ?? new Error("nothing is scripted");
  };
  const container = {
    start: async () => {
      const step = next("start", starts);
      if (step instanceof Error) throw step;
    },
    inspect: async () => {
      const step = next("inspect", looks);
      if (step instanceof Error) throw step;
      return {
        Id: "c",
        Name: "/c",
        State: { Status: step, StartedAt: "" },
        Config: { Labels: {} },
        HostConfig: {},
        NetworkSettings: { Networks: {}, Ports: {} },
      };
    },
  };
  const docker = { getContainer: () => container } as unknown as Docker;
  const caller = new EngineCaller(() => Promise.resolve());
  return { asked, containers: new ContainerClient(docker, caller) };
}

function refused(statusCode: number): Error {
  return Object.assign(new Error("no"), { statusCode });
}

test("a start that is answered is one call", async () => {
  const { asked, containers } = scripted(["running"], []);
  await containers.start("c");
  expect(asked).toEqual(["start"]);
});

test.each(["running", "exited", "dead", "removing"])(
  "what is %s after a start whose answer got lost is not started again",
  async (state) => {
    const { asked, containers } = scripted([LOST], [state]);
    await containers.start("c");
    expect(asked).toEqual(["start", "inspect"]);
  },
);

test("what a start without an answer has not reached is started", async () => {
  const { asked, containers } = scripted([LOST, "running"], ["created"]);
  await containers.start("c");
  expect(asked).toEqual(["start", "inspect", "start"]);
});

test("an engine that had a reason to refuse the start that got lost tells it", async () => {
  const { containers } = scripted([LOST, refused(400)], ["created"]);
  await expect(containers.start("c")).rejects.toMatchObject({ verb: "start", status: 400 });
});

test("one that is gone meanwhile is missing", async () => {
  const { containers } = scripted([LOST, refused(404)], [refused(404)]);
  await expect(containers.start("c")).rejects.toMatchObject({ verb: "start", status: 404 });
});

test("where nobody answers a look either it is not started again", async () => {
  const { asked, containers } = scripted([LOST], [LOST]);
  await expect(containers.start("c")).rejects.toMatchObject({ code: "ENGINE_UNAVAILABLE", cause: LOST });
  expect(asked.filter((verb) => verb === "start")).toHaveLength(1);
});

test("a start that is refused is not asked for again", async () => {
  const { asked, containers } = scripted([refused(500)], []);
  await expect(containers.start("c")).rejects.toMatchObject({ status: 500 });
  expect(asked).toEqual(["start"]);
});

import { expect, test } from "vitest";
import { poll } from "../../support/poll.ts";
import { hostNamed, type OpenQueueWorld, signal } from "./world.ts";

export function describeFleet(open: OpenQueueWorld): void {
  test("hosts see each other, as each last said of itself", async () => {
    await using world = await open();
    const [one, two] = [await world.openFleet(60_000), await world.openFleet(60_000)];
    await one.publish(hostNamed("b"));
    await two.publish(hostNamed("a"));
    await two.publish({ ...hostNamed("a"), state: "draining" });
    const hosts = await one.hosts(signal());
    expect(hosts).toEqual([{ ...hostNamed("a"), state: "draining" }, hostNamed("b")]);
    await one.withdraw("b");
    expect((await two.hosts(signal())).map(({ hostId }) => hostId)).toEqual(["a"]);
    await one.withdraw("nobody");
  });

  test("a host that says nothing more is gone by itself", async () => {
    await using world = await open();
    const [short, long] = [await world.openFleet(300), await world.openFleet(60_000)];
    await short.publish(hostNamed("dies"));
    await long.publish(hostNamed("stays"));
    await poll("it is gone", async () => {
      const ids = (await long.hosts(signal())).map(({ hostId }) => hostId);
      return (ids.length === 1 && ids[0] === "stays") || ids.join();
    });
  });
}

import { expect, test } from "vitest";
import { openTestDoor } from "../support/open-test-door.ts";

test("a host that takes no jobs says so, and does not ask to be tried again", async () => {
  await using door = await openTestDoor();
  const ask = async (path: string, init?: RequestInit): Promise<unknown> => {
    const answer = await fetch(`${door.url}${path}`, init);
    return [answer.status, answer.headers.get("retry-after"), await answer.json()];
  };
  const replay = { method: "POST", headers: { "content-type": "application/json" }, body: '{"all":true}' };
  const off = expect.objectContaining({ code: "QUEUE_OFF", retry: "never", fault: "host" }) as object;
  expect(await ask("/v1/fleet")).toEqual([422, null, off]);
  expect(await ask("/v1/queue/dead")).toEqual([422, null, off]);
  expect(await ask("/v1/queue/replay", replay)).toEqual([422, null, off]);
  // To look is always possible.
  expect(await ask("/v1/queue")).toEqual([200, null, expect.objectContaining({ isOn: false })]);
});

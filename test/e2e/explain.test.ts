import { expect, test } from "vitest";
import type { Host, Verdict } from "../../src/client/index.ts";
import { HearthClient } from "../../src/client/index.ts";
import { startDaemon } from "../support/start-daemon.ts";

/** What is warm stays so for as long as a busy machine takes for all of it. */
const CONFIG = "driver: process\ncpu: 1\nmem: 512\ntimeout: 60\n";

test("E: what explain says of a real task is what then happens: room, a warm slot, a wait, a refusal", async () => {
  await using daemon = await startDaemon({ config: CONFIG });
  const explain = async (...args: string[]): Promise<Verdict> =>
    JSON.parse(await daemon.cli("explain", ...args, "--json")) as Verdict;

  expect(await explain("echo")).toMatchObject({ type: "starts", freeze: [], evict: [] });
  await daemon.cli("call", "echo", "hello");
  expect((await explain("echo")).type).toBe("warm");
  // What it may reach is part of which task it is: the warm one is not one that reaches nothing.
  const { host } = JSON.parse(await daemon.cli("stats", "--json")) as { readonly host: Host };
  expect(await explain("echo", "--network", "none")).toMatchObject(
    host.networks.offered.includes("none")
      ? { type: "starts", freeze: [{ image: "echo" }] }
      : { type: "refused", problem: { code: "NETWORK_UNAVAILABLE" } },
  );

  // Another task needs the only core: the idle one has to give it back, and does.
  const verdict = await explain("slow-start");
  expect(verdict).toMatchObject({ type: "starts", freeze: [{ image: "echo" }], evict: [] });
  await daemon.cli("call", "slow-start", "{}");
  const { sandboxes } = JSON.parse(await daemon.cli("ps", "--json")) as {
    sandboxes: { image: string; tier: string }[];
  };
  expect(sandboxes.find(({ image }) => image === "echo")?.tier).toBe("frozen");
  expect(await explain("echo")).toMatchObject({ type: "wakes", freeze: [{ image: "slow-start" }] });

  await expect(daemon.cli("explain", "echo", "--cpu", "9")).rejects.toThrow(/resource.cpu/);
  // What has no folder, and what is no name at all: refused in the very words of the call.
  for (const [name, code] of [
    ["nobody-has-this", "TASK_NOT_FOUND"],
    ["../etc/passwd", "IMAGE_NAME_INVALID"],
  ] as const) {
    const client = new HearthClient({ baseUrl: daemon.baseUrl });
    const told = await client.explain({ image: name });
    expect(told).toMatchObject({ type: "refused", problem: { code, retry: "never" } });
    await expect(client.call({ image: name, input: "" })).rejects.toMatchObject({ code });
    await expect(daemon.cli("explain", name)).rejects.toThrow(/never: /);
  }

  const plain = await daemon.cli("explain", "echo");
  expect(plain).toMatch(/^runs now: its frozen sandbox can wake, once 1 idle one is frozen\n {2}freezes {2}/);
}, 240_000);

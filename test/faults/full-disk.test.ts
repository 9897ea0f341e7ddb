/** A real small disk under the state directory, filled to its last byte. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunList } from "../../src/contract/v1/calls.ts";
import { poll } from "../support/poll.ts";
import type { ProcessDaemon, ProcessHost } from "../support/process-host.ts";
import { openProcessHost } from "../support/process-host.ts";
import type { SmallDisk } from "../support/small-disk.ts";
import { openSmallDisk, whyNoSmallDisk } from "../support/small-disk.ts";

const reason = whyNoSmallDisk();

describe.skipIf(reason !== undefined)(reason ?? "a life that begins on a full disk", () => {
  let host: ProcessHost;
  let disk: SmallDisk;

  beforeAll(async () => {
    host = await openProcessHost();
    disk = await openSmallDisk(6);
  });
  afterAll(async () => {
    await disk[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
  });

  const start = (owner?: string): Promise<ProcessDaemon> =>
    host.start({ stateDir: join(disk.folder, "state"), ...(owner === undefined ? {} : { owner }) });

  test("nothing is called a defect: what needs no room works, what needs some names the disk, and all is well once there is room", async () => {
    const first = await start();
    try {
      expect(await first.caller.call(host.obeys, "return 'before'")).toMatchObject({ status: 200 });
      const query = `image=${host.obeys}&cpu=0.2&mem=32`;
      const later = { prefer: "respond-async" };
      expect(
        (await first.caller.send("POST", `/v1/calls?${query}`, "return 'kept'", undefined, later)).status,
      ).toBe(202);
      await poll("both runs are on the list", async () => {
        const { runs } = await first.caller.get<RunList>("/v1/runs");
        return runs.filter(({ state }) => state === "answered").length === 2 || JSON.stringify(runs);
      });
      disk.fill();
      await first.daemon.end("SIGKILL");
      disk.fill();

      await using second = await start(first.owner);
      const named = /no disk space left/;
      for (const headers of [{}, later]) {
        const path = `/v1/calls?${query}`;
        const answer = await second.caller.send("POST", path, "return 'now'", undefined, headers);
        if (answer.status >= 300) expect(answer.problem).toMatchObject({ code: "DISK_FULL" });
      }
      const legacy = await second.caller.send(
        "POST",
        "/",
        JSON.stringify({ id: host.obeys, input: "return 1" }),
      );
      expect(legacy.text).not.toContain("a defect of the executor");
      if (legacy.status !== 200) expect(legacy.text).toMatch(named);

      // What was recorded before can be read, and proves itself, without a byte of room.
      const answered = (list: RunList) => list.runs.filter(({ state }) => state === "answered").length;
      await poll("what was recorded before is read", async () => {
        const list = await second.caller.get<RunList>("/v1/runs");
        return answered(list) >= 2 || JSON.stringify(list);
      });
      expect(await second.daemon.cli("runs")).toMatch(/answered/);
      expect(await second.daemon.cli("verify")).toMatch(/whole/);

      await disk.free();
      await poll("calls are answered again", async () => {
        const { status, text } = await second.caller.call(host.obeys, "return 'after'");
        return status === 200 || text;
      });
      await poll("what ended meanwhile is in the chain", async () => {
        const list = await second.caller.get<RunList>("/v1/runs");
        return answered(list) >= 3 || JSON.stringify(list);
      });
      expect(await second.daemon.cli("verify")).toMatch(/whole/);
      expect(second.daemon.log()).not.toContain("INTERNAL");
    } finally {
      await first[Symbol.asyncDispose]();
    }
  }, 300_000);
});

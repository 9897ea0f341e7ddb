import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventLine } from "../../src/cli/event-line.ts";
import { HearthClient } from "../../src/client/index.ts";
import { poll } from "../support/poll.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

describe("what a job prints, by its id", () => {
  let world: StreamWorld;
  let host: Daemon;
  beforeAll(async () => {
    world = await StreamWorld.open();
    host = await world.startHost("one");
  }, 180_000);
  afterAll(async () => await world[Symbol.asyncDispose](), 60_000);

  const folderOf = (id: string): string => join(host.stateDir, "jobs", id);

  /** A job that has printed and waits for a word. */
  const talking = async (): Promise<string> => {
    const id = await world.submit("test.talk");
    await poll(`${id} has printed`, async () => {
      const names = await readdir(folderOf(id)).catch((): string[] => []);
      return names.includes("begun") || names.join();
    });
    return id;
  };
  const letGo = async (id: string): Promise<void> => await writeFile(join(folderOf(id), "go"), "");
  const printed = async (id: string, ...options: string[]): Promise<string> =>
    await host.cli("logs", id, ...options);

  test("D18: the logs of a running job are read while it runs, and after its end", async () => {
    const id = await talking();
    await poll("both are there", async () => {
      const text = await printed(id);
      return (text.includes("said") && text.includes("cried")) || text;
    });
    expect(await printed(id)).not.toContain("last words");
    await letGo(id);
    await world.ending(id);
    expect(await printed(id)).toContain("last words");
    expect((await printed(id, "--tail", "1")).trim()).toBe("last words");
    expect(await world.output(id)).toMatchObject({ "artifacts/stdout.txt": "said\nlast words\n" });
  }, 180_000);

  test("D18: who follows a running job hears what it prints, until it ends", async () => {
    const id = await talking();
    const client = new HearthClient({ baseUrl: host.baseUrl });
    const heard: string[] = [];
    const streams = new Set<string>();
    for await (const { stream, text } of client.followLogs(id, { tailBytes: 65_536 })) {
      heard.push(text);
      streams.add(stream);
      // Only once somebody hears the first words does it say the last.
      if (heard.join("").includes("said")) await letGo(id).catch(() => undefined);
    }
    expect(heard.join("")).toContain("last words");
    expect([...streams].sort()).toEqual(["stderr", "stdout"]);
    await world.ending(id);
  }, 180_000);

  test("a job that nobody knows has no logs, and that is said", async () => {
    const answer = await fetch(`${host.baseUrl}/v1/sandboxes/nobody/logs`);
    expect(answer.status).toBe(404);
    await expect(printed("nobody")).rejects.toThrow("nobody");
  }, 180_000);

  test("the event feed tells a job's states in order, and its end", async () => {
    const id = await talking();
    await letGo(id);
    await world.ending(id);
    const lines = await linesUntilEnd(host, id);
    expect(lines.slice(0, 3)).toEqual([
      `job ${id}, try 1 (shell): reserved`,
      `job ${id}, try 1 (shell): reserved -> starting`,
      `job ${id}, try 1 (shell): starting -> running`,
    ]);
    expect(lines.filter((line) => line.includes(" after "))).toHaveLength(1);
    expect(lines.at(-1)).toMatch(new RegExp(`^job ${id}, try 1: done after \\d+ ms$`));
  }, 180_000);
});

/** What is told of a job, the past included, until its end. */
async function linesUntilEnd({ baseUrl }: Daemon, id: string): Promise<string[]> {
  const client = new HearthClient({ baseUrl });
  const lines: string[] = [];
  for await (const event of client.events({ recent: 1000, signal: AbortSignal.timeout(60_000) })) {
    if ("jobId" in event && event.jobId === id) lines.push(eventLine(event));
    if (event.type === "jobEnded" && event.jobId === id) break;
  }
  return lines;
}

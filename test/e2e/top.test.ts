import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { poll } from "../support/poll.ts";
import { startDaemon } from "../support/start-daemon.ts";

const program = fileURLToPath(new URL("../../dist/hearth.mjs", import.meta.url));

test("top, not on a terminal: the host as it is, once, in words and as JSON", async () => {
  await using daemon = await startDaemon({ config: "driver: process\n" });
  await daemon.cli("call", "echo", "hello");
  const text = await daemon.cli("top");
  expect(text).toMatch(/^hearth \S+ {2}process {2}running {3}0 running {2}0 waiting {2}1 warm\n/);
  expect(text).toMatch(/\necho +hot +process +1 +128 MB/);
  expect(text).not.toContain("\u001b");
  const json = JSON.parse(await daemon.cli("top", "--json")) as Record<string, unknown>;
  expect(json).toMatchObject({ host: { driver: "process" }, sandboxes: [{ image: "echo", tier: "hot" }] });
}, 180_000);

test("top, on a real terminal: shows a call made meanwhile, removes a task by keys, says when the daemon is gone, and leaves it as it was", async () => {
  await using daemon = await startDaemon({ config: "driver: process\n" });
  // A terminal of its own, by the tool that every Debian has for it.
  const command = `stty cols 110 rows 30; exec '${process.execPath}' '${program}' top`;
  const child = spawn("script", ["-qefc", command, "/dev/null"], {
    env: { ...process.env, HEARTH_HOST: daemon.baseUrl, TERM: "xterm-256color", NO_COLOR: "" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let seen = "";
  child.stdout.on("data", (chunk: Buffer) => {
    seen += chunk.toString();
  });
  // Not `exit`: what it wrote last may come after that.
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const shows = async (text: string): Promise<void> => {
    await poll(`"${text}" on the screen`, () => seen.includes(text) || seen.slice(-2000));
    seen = "";
  };
  try {
    await shows("no warm task");
    await daemon.cli("call", "echo", "hello");
    // Its name is among the events as well, perhaps before it is in the list: then there is nothing to choose yet.
    await poll("it is chosen", () => {
      child.stdin.write("\u001b[B");
      return seen.includes("> echo") || seen.slice(-2000);
    });
    seen = "";
    child.stdin.write("x");
    await shows("remove echo");
    child.stdin.write("y");
    await shows("no warm task");
    await daemon.end("SIGTERM");
    await shows("the daemon does not answer");
    child.stdin.write("q");
    expect(await ended).toBe(0);
    expect(seen).toContain("\u001b[?1049l");
  } finally {
    child.kill("SIGKILL");
  }
}, 180_000);

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { poll } from "../support/poll.ts";
import { runProgram } from "../support/run-program.ts";
import { startDaemon } from "../support/start-daemon.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const documented = readFileSync(new URL("documented-curls.txt", import.meta.url), "utf8");

interface Curl {
  readonly command: string;
  readonly status: string;
  readonly body: RegExp;
}

test("S: every documented curl command does what is documented, verbatim", async () => {
  await using daemon = await startDaemon({ config: "driver: process\n" });
  const home = await mkdtemp(join(tmpdir(), "hearth-curl-"));
  try {
    // The commands keep their addresses; curl's own settings say where these really are.
    const rules = [
      [2591, new URL(daemon.baseUrl).port],
      [7000, new URL(daemon.monitorUrl).port],
    ].flatMap(([from, to]) =>
      ["localhost", "127.0.0.1", "172.18.0.255"].map(
        (host) => `connect-to = "${host}:${from}:127.0.0.1:${to}"`,
      ),
    );
    const env = { ...process.env, CURL_HOME: home, HOME: home };
    const head = join(home, "head");
    for (const one of readCurls()) {
      const { command, status, body } = one;
      // What is made for following goes on for ever: its status is read from its head.
      const isFollowed = command.includes(" -sN ");
      const more = isFollowed
        ? `dump-header = "${head}"`
        : // Beside the answer, which may go into another program.
          'max-time = 60\nwrite-out = "%{stderr}%{http_code}"';
      writeFileSync(join(home, ".curlrc"), `${rules.join("\n")}\nsilent\n${more}\n`);
      if (isFollowed) await follow(one, env, head);
      else {
        const { stdout, stderr } = await runProgram("sh", ["-c", command], { env, timeoutMs: 90_000 });
        expect([command, stderr, stdout]).toEqual([command, status, expect.stringMatching(body) as string]);
      }
    }
    expect(await daemon.ended).toBe(0);
  } finally {
    await rm(home, { recursive: true });
  }
}, 300_000);

test("no curl command is documented that is not tried", () => {
  const pages = [...pagesOf(root), ...pagesOf(join(root, "docs")), ...examplePages()];
  const known = new Set(readCurls().map(({ command }) => command));
  const untried = pages.flatMap((page) =>
    readFileSync(page, "utf8")
      .split("\n")
      .map((line) => line.trim().replace(/^\$ /, ""))
      .filter((line) => /^curl .*(2591|7000)/.test(line) && !known.has(line)),
  );
  expect(untried).toEqual([]);
});

/** Runs a command until what it has printed is what is documented, and ends it. */
async function follow(
  { command, status, body }: Curl,
  env: NodeJS.ProcessEnv,
  headFile: string,
): Promise<void> {
  writeFileSync(headFile, "");
  // With a group of its own, so that the shell's end is curl's as well.
  const child = spawn("sh", ["-c", command], { env, stdio: ["ignore", "pipe", "ignore"], detached: true });
  const ended = new Promise((resolve) => child.once("close", resolve));
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  try {
    await poll(command, () => body.test(printed) || printed);
  } finally {
    if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid ?? 0), "SIGTERM");
    await ended;
  }
  const [, got] = /^HTTP\/1.1 (\d{3}) /.exec(readFileSync(headFile, "utf8")) ?? [];
  expect([command, got]).toEqual([command, status]);
}

function readCurls(): Curl[] {
  return documented
    .split("\n\n")
    .filter((block) => block.startsWith("curl "))
    .map((block) => {
      const [command = "", expected = ""] = block.trim().split("\n");
      const match = /^=> (\d{3}) (.+)$/.exec(expected);
      if (match === null) throw new Error(`no expectation for ${command}`);
      return { command, status: match[1] ?? "", body: new RegExp(match[2] ?? "", "s") };
    });
}

function pagesOf(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));
}

function examplePages(): string[] {
  const examples = join(root, "examples");
  return readdirSync(examples)
    .map((name) => join(examples, name, "README.md"))
    .filter((page) => existsSync(page));
}

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
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
    const port = new URL(daemon.baseUrl).port;
    // The commands keep their addresses; curl's own settings say where these really are.
    const rules = ["localhost", "127.0.0.1", "172.18.0.255"].map(
      (host) => `connect-to = "${host}:2591:127.0.0.1:${port}"`,
    );
    const env = { ...process.env, CURL_HOME: home, HOME: home };
    for (const { command, status, body } of readCurls()) {
      // What is made for following goes on for ever.
      const seconds = command.includes(" -sN ") ? 2 : 30;
      const more = `silent\nmax-time = ${seconds}\nwrite-out = "\\n%{http_code}"\n`;
      writeFileSync(join(home, ".curlrc"), `${rules.join("\n")}\n${more}`);
      const { stdout } = await runProgram("sh", ["-c", command], { env, timeoutMs: 60_000 });
      const cut = stdout.lastIndexOf("\n");
      expect([command, stdout.slice(cut + 1), stdout.slice(0, cut)]).toEqual([
        command,
        status,
        expect.stringMatching(body) as string,
      ]);
    }
    expect(await daemon.ended).toBe(0);
  } finally {
    await rm(home, { recursive: true });
  }
}, 120_000);

test("no curl command is documented that is not tried", () => {
  const pages = [...pagesOf(root), ...pagesOf(join(root, "docs")), ...examplePages()];
  const known = new Set(readCurls().map(({ command }) => command));
  const untried = pages.flatMap((page) =>
    readFileSync(page, "utf8")
      .split("\n")
      .map((line) => line.trim().replace(/^\$ /, ""))
      .filter((line) => /^curl .*2591/.test(line) && !known.has(line)),
  );
  expect(untried).toEqual([]);
});

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

import { expect, test } from "vitest";
import { CliWorld, json, problem } from "../../test/support/cli-world.ts";
import { forTerminal } from "./task-output.ts";

const ID = "aaaabbbbccccddddeeeeffffgg";
const BELL = "\u0007";
const TITLE = `\u001b]0;gone${BELL}`;
const RED = "\u001b[1;31mred\u001b[m";

test.each([
  ["lines and\ttabs\r\n", "lines and\ttabs\r\n"],
  [RED, RED],
  ["\u001b[38:2::1:2:3mx", "\u001b[38:2::1:2:3mx"],
  [TITLE, "\\x1b]0;gone\\x07"],
  ["\u001b[2J\u001b[6n\u001bc", "\\x1b[2J\\x1b[6n\\x1bc"],
  ["\u009b31m\u0000\u007f\b", "\\x9b31m\\x00\\x7f\\x08"],
  ["\u001b[31\u0007m", "\\x1b[31\\x07m"],
])("of %j a terminal has %j", (text, shown) => {
  expect(forTerminal(text)).toBe(shown);
});

/** A daemon whose task printed the first piece before anybody looked, and the others after. */
async function logsOf(world: CliWorld, [first = "", ...more]: readonly string[]): Promise<string> {
  const tail = { text: first, isTruncated: false, sandboxId: ID, hasEnded: false };
  return await world.startDaemon({
    [`GET /v1/sandboxes/${ID}/logs`]: (request, response, body) => {
      if (!(request.url ?? "").includes("follow=true")) return json(tail)(request, response, body);
      response.setHeader("content-type", "application/x-ndjson");
      response.end(more.map((text) => `${JSON.stringify({ stream: "stdout", text })}\n`).join(""));
    },
  });
}

test("logs on a terminal show what a task would have it do; what is piped is as it was printed", async () => {
  await using world = new CliWorld();
  const at = await logsOf(world, [`${TITLE}${RED}\n`]);
  const argv = ["logs", ID, "-H", at];
  expect((await world.run(argv, { isTty: true })).out).toBe(`\\x1b]0;gone\\x07${RED}\n`);
  expect((await world.run(argv)).out).toBe(`${TITLE}${RED}\n`);
});

test("a colour that comes in two pieces is a colour; one that never comes whole is shown", async () => {
  await using world = new CliWorld();
  const pieces = ["a\u001b", "[3", "1mred\u001b[0", `m${BELL}\u001b[`];
  const argv = ["logs", "-f", ID, "-H", await logsOf(world, pieces)];
  expect((await world.run(argv, { isTty: true })).out).toBe("a\u001b[31mred\u001b[0m\\x07\\x1b[");
  expect((await world.run(argv)).out).toBe(pieces.join(""));
});

test("a refusal that holds the end of a task's log is shown in the same way", async () => {
  await using world = new CliWorld();
  const logTail = `${TITLE}over`;
  const at = await world.startDaemon({ "POST /v1/calls": problem("SANDBOX_EXITED_EARLY", { logTail }) });
  const argv = ["call", "a", "-H", at];
  expect((await world.run(argv, { isTty: true })).err).toContain("its log ends:\n\\x1b]0;gone\\x07over");
  expect((await world.run(argv)).err).toContain(`its log ends:\n${logTail}`);
});

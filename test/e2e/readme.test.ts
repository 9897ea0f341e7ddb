import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runProgram } from "../support/run-program.ts";
import { startDaemon } from "../support/start-daemon.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Step {
  readonly command: string;
  readonly output: string;
}

test("every command of the README's tour prints what is printed there", async () => {
  await using daemon = await startDaemon({ config: "driver: process\ncpu: 2\n" });
  const { host } = new URL(daemon.baseUrl);
  for (const { command, output } of readTour()) {
    const here = command.replaceAll("localhost:2591", host);
    const end = await runProgram("sh", ["-c", here], { cwd: root, env: { HEARTH_HOST: daemon.baseUrl } });
    expect(`$ ${command}\n${steady(end.stdout)}`).toBe(`$ ${command}\n${steady(output)}`);
  }
});

/** The commands between the two marks, each with what follows it up to the next or the end of its block. */
function readTour(): readonly Step[] {
  const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const tour = text.slice(text.indexOf("<!-- tour"), text.indexOf("<!-- end of tour -->"));
  const blocks = [...tour.matchAll(/```console\n(.*?)```/gs)].map(([, block]) => block ?? "");
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        const [command = "", ...lines] = step.split("\n");
        return { command, output: lines.join("\n") };
      }),
  );
}

/** Without what differs from run to run: ids, times, and the widths of columns that follow them. */
function steady(text: string): string {
  return text
    .replaceAll(/\b[0-9a-z]{26}\b/g, "ID")
    .replaceAll(/\b\d+(\.\d+)? (ms|s|min)\b/g, "TIME")
    .replaceAll(/ +/g, " ")
    .trimEnd();
}

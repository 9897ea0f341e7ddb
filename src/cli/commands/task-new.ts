import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import type { Command } from "../command.ts";
import { textArg, textOption, UsageError } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";
import { TEMPLATE_NAMES, templateFiles } from "../task-templates.ts";

/** A folder's name and an image's name at once. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

export const taskNew: Command = {
  name: "new",
  summary: "write a task folder that works, with its Dockerfile",
  args: [{ name: "<name>", about: "small letters, digits, - and _" }],
  options: [
    { flags: "--template <name>", about: "what it is written in (default node)", choices: TEMPLATE_NAMES },
    { flags: "--dir <folder>", about: "where to put it (default tasks/<name>)" },
  ],
  examples: ["hearth task new hello && hearth call hello world", "hearth task new score --template python"],
  async run({ io, cwd, isJson, isQuiet }, invocation) {
    const name = textArg(invocation.args[0]) ?? "";
    if (!NAME.test(name)) {
      throw new UsageError(`"${name}" cannot be a task's name: small letters, digits, - and _, up to 63`);
    }
    const template = textOption(invocation, "template") ?? "node";
    const folder = resolve(cwd, textOption(invocation, "dir") ?? join("tasks", name));
    if (existsSync(folder)) throw new UsageError(`${folder} is there already`);
    const files = templateFiles(template, name);
    writeFolder(folder, files);
    if (isJson) await printJson(io, { name, folder, files: Object.keys(files) });
    else if (isQuiet) await io.out(`${folder}\n`);
    else await io.out(nextSteps(name, relative(cwd, folder) || "."));
    return EXIT.done.code;
  },
};

/** All files or none: a half-written folder would be taken for a task. */
function writeFolder(folder: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(dirname(folder), { recursive: true });
  const draft = `${folder}.new-${process.pid}`;
  try {
    mkdirSync(draft);
    for (const [file, text] of Object.entries(files)) {
      writeFileSync(join(draft, file), text, { mode: file.endsWith(".sh") ? 0o755 : 0o644 });
    }
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw error;
  }
}

function nextSteps(name: string, folder: string): string {
  return [
    `${folder} is a task. Call it without Docker (the daemon looks into ./tasks where it was started):`,
    `  hearth serve --driver process`,
    `  hearth call ${name} world`,
    `or as an image:`,
    `  docker build -t ${name} ${folder}`,
    `  hearth call ${name} world`,
    "",
  ].join("\n");
}

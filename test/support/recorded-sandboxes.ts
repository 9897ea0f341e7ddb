import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Ids of the sandboxes that a process driver's folder of records names, whoever owns them. */
export async function recordedSandboxes(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
  const lines = texts.flatMap((text) => text.split("\n")).filter((line) => line.trim() !== "");
  return lines.map((line) => (JSON.parse(line) as { readonly sandboxId: string }).sandboxId);
}

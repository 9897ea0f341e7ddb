import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ExecutorError } from "../core/index.ts";

/**
 * Puts a small file into a folder and asks whether it is seen there by another way; the file goes in any case.
 *
 * @param isSeen whether a file of this name holds this text.
 * @throws {@link ExecutorError} CONFIG_INVALID when nothing can be written there; what `isSeen` throws.
 */
export async function seesMarker(
  folder: string,
  isSeen: (name: string, text: string) => Promise<boolean>,
): Promise<boolean> {
  const text = randomBytes(16).toString("hex");
  const name = `.hearth-marker-${randomBytes(6).toString("hex")}`;
  try {
    // For everybody: who looks may be somebody else. It says nothing.
    await writeFile(join(folder, name), text, { flag: "wx", mode: 0o644 });
  } catch (error) {
    const reason = `nothing can be written to the shared folder ${folder}`;
    throw new ExecutorError("CONFIG_INVALID", { reason }, { cause: error });
  }
  try {
    return await isSeen(name, text);
  } finally {
    await rm(join(folder, name), { force: true });
  }
}

import { open } from "node:fs/promises";
import { join } from "node:path";

/** Where a result has what its program complained. */
const COMPLAINTS = "artifacts/stderr.txt";
const LAST_BYTES = 4096;
const LAST_LINES = 10;

/** The last lines of what a task complained, as its result has them; none where there is no such file. */
export async function lastWords(folder: string): Promise<readonly string[]> {
  try {
    await using file = await open(join(folder, COMPLAINTS));
    const { size } = await file.stat();
    const from = Math.max(0, size - LAST_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LAST_BYTES), 0, LAST_BYTES, from);
    const lines = buffer.toString("utf8", 0, bytesRead).trimEnd().split("\n");
    // The first of them may be half a line.
    return (from > 0 ? lines.slice(1) : lines).slice(-LAST_LINES).filter((line) => line.trim() !== "");
  } catch {
    return []; // the status has been told all the same
  }
}

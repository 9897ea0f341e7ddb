import { randomUUID } from "node:crypto";
import type { Connection } from "./connection.ts";
import { reasonOf } from "./failure.ts";

/** Makes the group on a stream, from its first entry on, and the stream if need be. No error where it is there. */
export async function openGroup(connection: Connection, stream: string, group: string): Promise<void> {
  try {
    await connection.send(["XGROUP", "CREATE", stream, group, "0", "MKSTREAM"], { key: stream });
  } catch (error) {
    if (!reasonOf(error).includes("BUSYGROUP")) throw error;
  }
}

/** Survives what Redis survives: whoever finds another value, or none, knows that Redis came back without its data. */
const MARKER = "marker";

/**
 * @param known what was found before, if anything was.
 * @returns what is there now, and whether Redis has lost what it knew since.
 */
export async function readMarker(
  send: (args: readonly string[]) => Promise<unknown>,
  prefix: string,
  known: string | undefined,
): Promise<{ readonly marker: string; readonly isEmptied: boolean }> {
  const key = `${prefix}${MARKER}`;
  const fresh = randomUUID();
  await send(["SET", key, fresh, "NX"]);
  const found = await send(["GET", key]);
  const marker = typeof found === "string" ? found : fresh;
  return { marker, isEmptied: known !== undefined && marker !== known };
}

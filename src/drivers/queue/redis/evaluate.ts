import { createHash } from "node:crypto";
import type { Connection } from "./connection.ts";
import { failureOf } from "./failure.ts";

/** A Lua script of ours; sent by its digest, and with its text to a server that does not know it yet. */
export interface Script {
  readonly text: string;
  readonly digest: string;
}

export function script(...parts: readonly string[]): Script {
  const text = parts.join("\n");
  return { text, digest: createHash("sha1").update(text).digest("hex") };
}

/** @param keys all of one hash slot; the first one leads to the node of a cluster. */
export async function evaluate(
  connection: Connection,
  { text, digest }: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  const rest = [String(keys.length), ...keys, ...args];
  const how = keys[0] === undefined ? {} : { key: keys[0] };
  try {
    return await connection.send(["EVALSHA", digest, ...rest], how);
  } catch (error) {
    if (failureOf(error) !== "script") throw error;
    return await connection.send(["EVAL", text, ...rest], how);
  }
}

import { UNLOCK_BYTES } from "./bytes.ts";

type Architecture = keyof typeof UNLOCK_BYTES;

/** The program of helpers as a file: static, of some 1 KB. `undefined` for machines that there is none for. */
export function unlockProgram(architecture: string): Buffer | undefined {
  return Object.hasOwn(UNLOCK_BYTES, architecture)
    ? Buffer.from(UNLOCK_BYTES[architecture as Architecture], "base64")
    : undefined;
}

import { chmodSync, closeSync, openSync } from "node:fs";

/**
 * Makes a database's file before the library does, for its owner alone: what it holds is somebody's data, and the files that the
 * library keeps beside it get its mode.
 */
export function makePrivate(file: string): void {
  closeSync(openSync(file, "a", 0o600));
  chmodSync(file, 0o600);
}

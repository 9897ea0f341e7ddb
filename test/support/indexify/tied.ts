import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const SETPRIV = (process.env["PATH"] ?? "")
  .split(delimiter)
  .map((folder) => join(folder, "setpriv"))
  .find((path) => existsSync(path));

/** Words before a program that is to end with the test that starts it, also when that is killed. It becomes the program. */
export const TIED: readonly string[] = SETPRIV === undefined ? [] : [SETPRIV, "--pdeathsig=KILL", "--"];

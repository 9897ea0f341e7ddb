import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Fault } from "./fault.ts";
import type { Env } from "./locations.ts";
import { fileCandidates } from "./locations.ts";

const LARGEST_BYTES = 1024 * 1024;

export interface FileChoice {
  readonly env: Env;
  readonly cwd: string;
  /** What `--config` names. */
  readonly configFile?: string | undefined;
  /** Whose words the file is in; theirs is only read where it is named. Default: ours. */
  readonly dialect?: "hearth" | "indexify" | undefined;
}

export type OpenedFile =
  | { readonly path: string; readonly source: string }
  | { readonly path: undefined }
  | { readonly fault: Fault };

/** The one file that counts: the one asked for by flag, then by `HEARTH_CONFIG`, then the first that exists. */
export function openFile({ env, cwd, configFile, dialect }: FileChoice): OpenedFile {
  const fromEnv = env["HEARTH_CONFIG"];
  if (configFile !== undefined) return read(resolve(cwd, configFile));
  if (dialect === "indexify") return { path: undefined };
  if (fromEnv !== undefined && fromEnv !== "") return read(resolve(cwd, fromEnv));
  const path = fileCandidates(env, cwd).find((candidate) => statSync(candidate, { throwIfNoEntry: false }));
  return path === undefined ? { path: undefined } : read(path);
}

function read(path: string): OpenedFile {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return refuse(path, "there is no such file");
    if (stat.isDirectory()) {
      return refuse(path, "this is a folder (Docker makes one where the file to mount does not exist)");
    }
    if (stat.size > LARGEST_BYTES) return refuse(path, `the file is longer than ${LARGEST_BYTES} bytes`);
    return { path, source: readFileSync(path, "utf8") };
  } catch (error) {
    return refuse(path, `the file cannot be read (${codeOf(error)})`);
  }
}

function refuse(path: string, message: string): OpenedFile {
  return { fault: { origin: { type: "file", path, line: 1, column: 1 }, key: "", message } };
}

/** The system's short word for a failure, such as `EACCES`. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown reason";
}

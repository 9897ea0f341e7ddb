import { execFile } from "node:child_process";

export interface ProgramEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

/** Runs a program to its end; a status other than 0 is an answer, not an error. */
export function runProgram(
  file: string,
  args: readonly string[],
  { cwd, env, timeoutMs = 60_000 }: ProgramOptions = {},
): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 };
    const child = execFile(file, args, options, (error, stdout, stderr) => {
      const code = typeof error?.code === "number" ? error.code : error === null ? 0 : 1;
      resolve({ code, stdout, stderr: stderr === "" && error !== null ? error.message : stderr });
    });
    child.stdin?.end();
  });
}

/** The same, but what it prints is the answer. @throws when it ends with anything but 0. */
export async function outputOf(
  file: string,
  args: readonly string[],
  options?: ProgramOptions,
): Promise<string> {
  const { code, stdout, stderr } = await runProgram(file, args, options);
  if (code !== 0)
    throw new Error(`${file} ${args.join(" ")} ended with ${code}: ${stdout}${stderr}`.slice(0, 4000));
  return stdout.trim();
}

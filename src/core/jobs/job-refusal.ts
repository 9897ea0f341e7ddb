import { ExecutorError } from "../errors.ts";
import type { JobSandboxSpec } from "../ports/job-sandbox.ts";

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const HIGHEST_PIDS = 4_194_304;

/** Why no driver can run a job like this, whatever its image; `undefined` if nothing speaks against it. */
export function jobRefusal(
  spec: Pick<JobSandboxSpec, "task" | "command" | "environment" | "workDir" | "pidsLimit">,
): ExecutorError | undefined {
  const reason = reasonAgainst(spec);
  return reason === undefined
    ? undefined
    : new ExecutorError("SANDBOX_START_FAILED", { image: spec.task.image, reason });
}

function reasonAgainst({
  command,
  environment,
  workDir,
  pidsLimit,
}: Parameters<typeof jobRefusal>[0]): string | undefined {
  if (command[0] === undefined || command[0] === "") return "its command names no program";
  const values = Object.values(environment);
  if ([...command, ...values].some((text) => text.includes("\0")))
    return "its command or environment holds a NUL character";
  const misnamed = Object.keys(environment).find((name) => !VARIABLE.test(name));
  if (misnamed !== undefined) return `${JSON.stringify(misnamed)} cannot be the name of a variable`;
  for (const path of [workDir.localPath, workDir.hostPath, workDir.target])
    if (!isPlainPath(path)) return `${JSON.stringify(path)} is no absolute path of a work folder`;
  if (pidsLimit !== undefined && (!Number.isInteger(pidsLimit) || pidsLimit < 1 || pidsLimit > HIGHEST_PIDS))
    return `pids must be between 1 and ${HIGHEST_PIDS}`;
  return undefined;
}

/** Absolute, below the root, and without a part that leads elsewhere. */
function isPlainPath(path: string): boolean {
  const [first, ...parts] = path.split("/");
  if (first !== "" || parts.length === 0 || path.includes("\0")) return false;
  return parts.every((part) => part !== "" && part !== "." && part !== "..");
}

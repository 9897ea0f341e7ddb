import { ExecutorError } from "../errors.ts";
import type { JobSandboxSpec, WorkDir } from "../ports/job-sandbox.ts";
import { isSafeSegment } from "./job-id.ts";

/** Where no work folder can be seen: what programs, engines and we ourselves put there. */
const TAKEN =
  /^\/(tmp$|(bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|root|run|sbin|scripts|sys|task|usr|var)(\/|$))/;
/** A name or a number each, as engines write users. */
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const HIGHEST_PIDS = 4_194_304;

/** Why no driver can run a job like this, whatever its image; `undefined` if nothing speaks against it. */
export function jobRefusal(
  spec: Pick<JobSandboxSpec, "task" | "command" | "environment" | "workDir" | "user" | "pidsLimit">,
): ExecutorError | undefined {
  const reason = reasonAgainst(spec);
  return reason === undefined
    ? undefined
    : new ExecutorError("SANDBOX_START_FAILED", { image: spec.task.image, reason });
}

function reasonAgainst(spec: Parameters<typeof jobRefusal>[0]): string | undefined {
  const { task, user, pidsLimit } = spec;
  if (task.sgx) return "jobs are given no SGX";
  if (user !== undefined && !USER.test(user)) return `${JSON.stringify(user)} is no user and group`;
  if (pidsLimit !== undefined && (!Number.isInteger(pidsLimit) || pidsLimit < 1 || pidsLimit > HIGHEST_PIDS))
    return `pids must be between 1 and ${HIGHEST_PIDS}`;
  return commandFault(spec) ?? folderFault(spec.workDir);
}

function commandFault({
  command,
  environment,
}: Pick<JobSandboxSpec, "command" | "environment">): string | undefined {
  if (command[0] === undefined || command[0] === "") return "its command names no program";
  if ([...command, ...Object.values(environment)].some((text) => text.includes("\0")))
    return "its command or environment holds a NUL character";
  const misnamed = Object.keys(environment).find((name) => !VARIABLE.test(name));
  return misnamed === undefined ? undefined : `${JSON.stringify(misnamed)} cannot be the name of a variable`;
}

function folderFault({ localPath, hostPath, target }: WorkDir): string | undefined {
  const [local, host] = [nameOf(localPath), nameOf(hostPath)];
  if (local === undefined || !isSafeSegment(local) || local !== host)
    return `${JSON.stringify(hostPath)} is no folder for one job`;
  if (nameOf(target) === undefined || TAKEN.test(target))
    return `a work folder cannot be seen at ${JSON.stringify(target)}`;
  return undefined;
}

/** The last part of an absolute path below the root without a part that leads elsewhere. */
function nameOf(path: string): string | undefined {
  const [first, ...parts] = path.split("/");
  const isPlain = first === "" && parts.every((part) => !["", ".", ".."].includes(part));
  return isPlain && !path.includes("\0") ? parts.at(-1) : undefined;
}

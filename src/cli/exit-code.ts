import type { HearthError, HearthErrorCode } from "../client/index.ts";
import type { ErrorCode, ErrorKind } from "../core/index.ts";
import { ERRORS } from "../core/index.ts";

/** What the program ends with. The manual's table and the tests are this one. */
export const EXIT = {
  done: { code: 0, about: "done" },
  no: { code: 1, about: "the answer is no: the task said so, or the command could not do its work" },
  usage: { code: 2, about: "wrong use, or a configuration with faults" },
  unreachable: { code: 3, about: "no daemon answers; `serve`: running calls were cut off at its end" },
  refused: { code: 4, about: "the daemon is paused or stopping, or has no room for this now or ever" },
  timeout: { code: 124, about: "`call`: the time was over before the task had answered" },
  error: { code: 125, about: "`call`: it failed on this side of the task" },
  unusable: { code: 126, about: "`call`: the image or task folder cannot be run" },
  notFound: { code: 127, about: "`call`: there is no such image or task" },
  interrupted: { code: 130, about: "ended by Ctrl-C; 128 and the signal's number for others" },
} as const satisfies Record<string, { code: number; about: string }>;

const REFUSING: readonly ErrorKind[] = ["refused", "busy", "paused", "draining"];

/** What any command ends with for an error that the daemon, or the way to it, gave. */
export function exitCodeOf({ code }: Pick<HearthError, "code">): number {
  if (code === "UNREACHABLE") return EXIT.unreachable.code;
  const kind = kindOf(code);
  if (REFUSING.includes(kind)) return EXIT.refused.code;
  return kind === "invalid" ? EXIT.usage.code : EXIT.no.code;
}

/** The finer table of `call`, after the custom of `docker run`. */
export function callExitCodeOf({ code }: Pick<HearthError, "code">): number {
  if (code === "UNREACHABLE") return EXIT.unreachable.code;
  if (code === "IMAGE_UNUSABLE") return EXIT.unusable.code;
  const kind = kindOf(code);
  if (REFUSING.includes(kind) && code !== "START_BACKOFF") return EXIT.refused.code;
  if (kind === "timeout") return EXIT.timeout.code;
  if (kind === "not_found") return EXIT.notFound.code;
  return kind === "invalid" ? EXIT.usage.code : EXIT.error.code;
}

function kindOf(code: HearthErrorCode): ErrorKind {
  return isOurs(code) ? ERRORS[code].kind : "internal";
}

function isOurs(code: HearthErrorCode): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

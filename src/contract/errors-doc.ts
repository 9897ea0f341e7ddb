import type { ErrorCode, ErrorKind } from "../core/index.ts";
import { ERRORS } from "../core/index.ts";
import { STATUS_OF_KIND, statusOf } from "./problem.ts";

/** `docs/errors.md`, from the register of errors and the table of statuses. */
export function writeErrorsDoc(): string {
  const codes = Object.keys(ERRORS) as ErrorCode[];
  const kinds = Object.keys(STATUS_OF_KIND) as ErrorKind[];
  return `${[
    BEGINNING,
    "| kind | status | what it says |",
    "| --- | --- | --- |",
    ...kinds.map((kind) => `| \`${kind}\` | ${STATUS_OF_KIND[kind]} | ${MEANING[kind]} |`),
    "\nA `timeout` that the caller caused, by sending too slowly, is 408.\n",
    "## Codes\n",
    "| code | status | kind | try again | who has to act | text |",
    "| --- | --- | --- | --- | --- | --- |",
    ...codes.map((code) => {
      const { kind, retry, fault, text } = ERRORS[code];
      return `| \`${code}\` | ${statusOf(code)} | ${kind} | ${retry} | ${fault} | ${text} |`;
    }),
  ].join("\n")}\n`;
}

const MEANING: Readonly<Record<ErrorKind, string>> = {
  invalid: "the request itself is wrong",
  unauthorized: "a token is needed",
  forbidden: "this caller may not do that",
  not_found: "what was asked for is not there",
  method: "the path does not take this method; `Allow` says which",
  conflict: "it does not go together with what is there now",
  too_large: "the body is above the limit",
  unsupported: "the body's type or encoding is not taken",
  refused: "the request is right, and this host will never serve it",
  cancelled: "the caller went away; nobody reads this",
  internal: "a defect of the executor",
  pull: "the image could not be fetched",
  start: "the task could not be started",
  memory: "the task used more memory than it was given",
  exit: "the task ended before it had answered",
  protocol: "the task's answer was not HTTP, or too large",
  busy: "no room now",
  starting: "the executor has not started yet",
  paused: "the executor is paused",
  draining: "the executor is stopping",
  infrastructure: "the host or its engine failed",
  timeout: "the time was over",
};

const BEGINNING = `# Errors

<!-- Written by \`npm run docs\` from src/core/error-register.ts and src/contract/problem.ts. -->

A task that answers, whatever its status, is no error. An error of Hearth is one of the codes below. \`/v1\` answers it as
\`application/problem+json\` with \`code\`, \`status\`, \`detail\` (what happened this time), \`retry\`, \`fault\`, \`requestId\` and \`facts\`; the
contract's own \`POST /\` answers 200 with \`success: false\` and the same sentence in \`msg\`. A code is for ever; texts may change, so
branch on the code.

503 always means "this host, not now" and carries \`Retry-After\`; 502 that the task or its image failed; 422 that the request is
right and this host will never serve it. \`later\` says that the same request may succeed if it is simply sent again.

## Kinds
`;

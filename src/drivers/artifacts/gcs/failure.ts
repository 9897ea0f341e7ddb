import { ExecutorError } from "../../../core/index.ts";

interface Said {
  readonly status: number | undefined;
  readonly text: string;
}

function said(error: unknown): Said {
  const one = error as { readonly code?: unknown; readonly message?: unknown } | null;
  const status = Number(one?.code);
  return {
    status: Number.isSafeInteger(status) ? status : undefined,
    text: typeof one?.message === "string" ? one.message : "",
  };
}

/** What Google's library says, in our words. Texts of servers are left out, they may hold anything. */
export function gcsFailure(
  error: unknown,
  facts: { readonly store: string; readonly key: string },
): ExecutorError {
  if (error instanceof ExecutorError) return error;
  const { status, text } = said(error);
  const fail = (code: ExecutorError["code"], reason: string): ExecutorError =>
    new ExecutorError(code, { ...facts, reason }, { cause: error });
  if (/Could not load the default credentials|GOOGLE_APPLICATION_CREDENTIALS|it is not a file/.test(text))
    return fail(
      "ARTIFACT_STORE_DENIED",
      "there are no Google credentials: see GOOGLE_APPLICATION_CREDENTIALS",
    );
  if (/invalid_grant|invalid_client|No key or keyFile/.test(text))
    return fail("ARTIFACT_STORE_DENIED", "the Google credentials are not valid");
  if (status === 404) return fail("ARTIFACT_NOT_FOUND", "404");
  if (status === 401 || status === 403) return fail("ARTIFACT_STORE_DENIED", String(status));
  return fail("ARTIFACT_STORE_UNAVAILABLE", status === undefined ? "no answer" : String(status));
}

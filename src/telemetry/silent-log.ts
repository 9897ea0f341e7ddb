import type { Log, LogEvent, LogFields, LogLevel } from "../core/index.ts";

/** Drops everything; for parts that are used without a daemon. */
export const silentLog: Log = { log: () => undefined };

export interface LoggedLine {
  readonly level: LogLevel;
  readonly event: LogEvent;
  readonly fields: LogFields;
}

/** Keeps every line, for tests that assert what an operator would have seen. */
export function recordingLog(): Log & { readonly lines: readonly LoggedLine[] } {
  const lines: LoggedLine[] = [];
  return { lines, log: (level, event, fields = {}) => void lines.push({ level, event, fields }) };
}

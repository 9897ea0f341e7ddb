import type { LogEvent, LogLevel } from "../core/index.ts";
import { LOG_EVENTS } from "../core/index.ts";

export interface PlainLine {
  readonly level: LogLevel;
  readonly event: LogEvent;
  /** Already printable: see `printableFields`. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly time: Date;
}

/** One event for a person at a terminal: `12:00:00 info  sandbox ready  image=echo startMs=41`. */
export function plainLine({ level, event, fields, time }: PlainLine): string {
  const facts = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${shown(value)}`);
  const clock = time.toISOString().slice(11, 19);
  return `${[clock, level.padEnd(5), LOG_EVENTS[event], ...facts].join(" ")}\n`;
}

/** A terminal obeys control characters, and a task may have put some into a text: they are shown, and not obeyed. */
function shown(value: unknown): string {
  const text = typeof value === "string" && /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value);
  return text.replace(/[\u007f-\u009f]/g, "?");
}

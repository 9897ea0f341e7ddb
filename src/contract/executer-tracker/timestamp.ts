import * as z from "zod";

/** The one form that clients of 2023 can read: six digits of a second, and the offset written out (section 8.1). */
const FORM = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}\+00:00$/;

export const timestamp = z.string().regex(FORM, "must be like 2023-08-04T15:02:12.123456+00:00");

/** @param wallMs since 1970, with a fraction if there is one. */
export function formatTimestamp(wallMs: number): string {
  const wholeMs = Math.floor(wallMs);
  const micros = Math.min(999, Math.floor((wallMs - wholeMs) * 1000));
  return `${new Date(wholeMs).toISOString().slice(0, -1)}${String(micros).padStart(3, "0")}+00:00`;
}

/** The answer to one execution request, ready for either way of writing it. */
export interface LegacyAnswer {
  readonly status: 200 | 400;
  /** Names and values in turn. Length, coding and connection are left to the writer. */
  readonly headers: readonly string[];
  readonly body: LegacyBody;
  /** Call once, when the bytes are sent or dropped: large answers count against a budget until then. */
  release(): void;
}

/**
 * A whole body, as text in which each character is one byte (latin1) or as bytes; or, for a large one, its pieces, each made
 * when it is asked for.
 */
export type LegacyBody = string | Buffer | Generator<Buffer, void, undefined>;

export const JSON_TYPE = "application/json; charset=utf-8";

/** Whether a body is there as a whole, so that its length is known. */
export function isWhole(body: LegacyBody): body is string | Buffer {
  return typeof body === "string" || Buffer.isBuffer(body);
}

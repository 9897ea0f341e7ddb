/** The answer to one execution request, ready for either way of writing it. */
export interface LegacyAnswer {
  readonly status: 200 | 400;
  /** Names and values in turn. `Content-Length` is left to the writer. */
  readonly headers: readonly string[];
  /** Text in which each character is one byte (latin1), or the bytes in pieces. */
  readonly body: string | readonly Buffer[];
  /** Of the body, in bytes. */
  readonly length: number;
  /** Call once, when the bytes are sent or dropped: large answers count against a budget until then. */
  release(): void;
}

export const JSON_TYPE = "application/json; charset=utf-8";

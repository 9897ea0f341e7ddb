import type { Io } from "./io.ts";
import { visible } from "./print.ts";

/** A colour, a character that lays out text, or any other control character. */
const CONTROLS = /\u001b\[[\d;:]*m|[\n\r\t]|\p{Cc}/gu;
/** What may be the beginning of a colour; the rest of it comes with the next piece. */
const BEGUN_COLOUR = /\u001b(?:\[[\d;:]{0,32})?$/u;

/**
 * What a task has printed, as a person's terminal may have it: lines, tabs and colours as they are, other control characters, such as
 * those that set a title or answer in the person's name, shown and not obeyed.
 */
export function forTerminal(text: string): string {
  return text.replace(CONTROLS, (piece) =>
    piece.length > 1 || piece === "\n" || piece === "\r" || piece === "\t" ? piece : visible(piece),
  );
}

/** Prints what a task prints, piece by piece: to a terminal as {@link forTerminal} has it, to all else as it is. */
export class TaskOutput {
  readonly #io: Io;
  #begun = "";

  constructor(io: Io) {
    this.#io = io;
  }

  async print(text: string): Promise<void> {
    if (!this.#io.isOutTty) {
      await this.#io.out(text);
      return;
    }
    const whole = this.#begun + text;
    this.#begun = BEGUN_COLOUR.exec(whole)?.[0] ?? "";
    await this.#io.out(forTerminal(whole.slice(0, whole.length - this.#begun.length)));
  }

  /** Nothing comes any more. */
  async end(): Promise<void> {
    const rest = forTerminal(this.#begun);
    this.#begun = "";
    if (rest !== "") await this.#io.out(rest);
  }
}

/** The part of a terminal that the live view needs; `undefined` in `Io` where there is none. */
export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  write(text: string): void;
  /** Calls back with each piece that is typed; in raw mode until the returned function is called. */
  onInput(listener: (chunk: string) => void): () => void;
  onResize(listener: () => void): () => void;
}

const ENTER = "\u001b[?1049h\u001b[?25l\u001b[2J";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const RESET = "\u001b[0m";

/** The alternate screen of a terminal. Only lines that differ from those shown are written again. */
export class Screen implements Disposable {
  readonly #terminal: Terminal;
  #shown: readonly string[] = [];

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    terminal.write(ENTER);
  }

  /** Another size: everything has to be written anew. */
  clear(): void {
    this.#shown = [];
    this.#terminal.write("\u001b[2J");
  }

  show(lines: readonly string[]): void {
    const { rows, columns } = this.#terminal;
    const next = Array.from({ length: rows }, (_, row) => cut(lines[row] ?? "", columns));
    const changed = next.flatMap((line, row) =>
      line === this.#shown[row] ? [] : [`\u001b[${row + 1};1H${line}${RESET}\u001b[K`],
    );
    this.#shown = next;
    if (changed.length > 0) this.#terminal.write(changed.join(""));
  }

  [Symbol.dispose](): void {
    this.#terminal.write(LEAVE);
  }
}

const PIECES = /\u001b\[[0-9;]*m|[\s\S]/gu;

/** At most so many columns of a line; colours take none. */
export function cut(line: string, columns: number): string {
  let width = 0;
  let kept = "";
  for (const [piece] of line.matchAll(PIECES)) {
    if (piece.startsWith("\u001b")) {
      kept += piece;
      continue;
    }
    if (width === columns) break;
    width += 1;
    kept += piece;
  }
  return kept;
}

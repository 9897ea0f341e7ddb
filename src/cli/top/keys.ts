/** What somebody pressed, as far as it has a meaning here. */
export type Key =
  | { readonly type: "up" | "down" | "enter" | "escape" | "erase" | "end" }
  | { readonly type: "text"; readonly text: string };

const SEQUENCES: Readonly<Record<string, Key>> = {
  "\u001b[A": { type: "up" },
  "\u001bOA": { type: "up" },
  "\u001b[B": { type: "down" },
  "\u001bOB": { type: "down" },
  "\r": { type: "enter" },
  "\n": { type: "enter" },
  "\u001b": { type: "escape" },
  "\u007f": { type: "erase" },
  "\b": { type: "erase" },
  // Ctrl-C and Ctrl-D: a terminal in raw mode sends no signal for them.
  "\u0003": { type: "end" },
  "\u0004": { type: "end" },
};

const PIECES = /\u001b(?:\[[0-9;?]*[@-~]|O.)|[\s\S]/gu;

/** Takes apart what a terminal sent in one go; sequences without a meaning here are dropped whole. */
export function keysOf(chunk: string): readonly Key[] {
  const keys: Key[] = [];
  for (const [piece] of chunk.matchAll(PIECES)) {
    const known = SEQUENCES[piece];
    if (known !== undefined) keys.push(known);
    else if (piece.length > 0 && !/\p{Cc}/u.test(piece)) keys.push({ type: "text", text: piece });
  }
  return keys;
}

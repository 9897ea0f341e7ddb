/** Where a value came from, or where its fault is. */
export type Origin =
  | { readonly type: "default" }
  | { readonly type: "file"; readonly path: string; readonly line: number; readonly column: number }
  | { readonly type: "env"; readonly name: string }
  | { readonly type: "flag"; readonly name: string }
  | { readonly type: "api" };

/** One thing that is wrong, with what would be right. */
export interface Fault {
  readonly origin: Origin;
  readonly key: string;
  /** A sentence without the key: what was expected, and what was found. */
  readonly message: string;
}

/** As compilers print it: `hearth.yaml:4:6: cpu: expected …`. */
export function printFault({ origin, key, message }: Fault): string {
  return [printPlace(origin), key, message].filter((part) => part !== "").join(": ");
}

export function printPlace(origin: Origin): string {
  switch (origin.type) {
    case "default":
      return "default";
    case "file":
      return `${origin.path}:${origin.line}:${origin.column}`;
    case "env":
      return origin.name;
    case "flag":
      return origin.name;
    case "api":
      return "";
  }
}

/** How a value is named in a fault: short, and never a secret. */
export function printValue(value: unknown): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a group of keys";
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** The candidate that a mistyped word most likely meant, if any is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions and replacements between two words; anything from `limit` on comes back as `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    above = row;
  }
  return Math.min(limit, above[b.length] ?? limit);
}

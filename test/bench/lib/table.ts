import type { Bench, Row } from "./bench.ts";
import { goalText, verdictOf } from "./goal.ts";

/** The row's figures, with its goal and whether that is met. */
export function figuresOf(row: Row): Row["figures"] {
  const verdict = verdictOf(row);
  if (row.goal === undefined || verdict === undefined) return row.figures;
  return { ...row.figures, goal: goalText(row.goal), verdict };
}

/** Prints one table for people, and one JSON line for each row. */
export function printRows(bench: Bench, measured: readonly Row[]): void {
  const rows = measured.map((row) => ({ case: row.case, figures: figuresOf(row) }));
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.figures)))];
  const table = [
    ["", ...names],
    ...rows.map((row) => [row.case, ...names.map((name) => cell(row.figures[name]))]),
  ];
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0))) ?? [];
  process.stdout.write(`\n${bench.name}: ${bench.summary}\n`);
  for (const line of table) {
    const cells = line.map((text, column) =>
      column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0),
    );
    process.stdout.write(`  ${cells.join("  ")}\n`);
  }
  for (const row of rows)
    process.stdout.write(`${JSON.stringify({ bench: bench.name, case: row.case, ...row.figures })}\n`);
}

function cell(value: number | string | undefined): string {
  if (typeof value !== "number") return value ?? "-";
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 3 : 1);
}

import type { Bench, Row } from "./bench.ts";

/** Prints one table for people, and one JSON line for each row. */
export function printRows(bench: Bench, rows: readonly Row[]): void {
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

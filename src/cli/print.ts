import type { Io } from "./io.ts";

/** One JSON object on a line of its own. */
export async function printJson(io: Io, value: unknown): Promise<void> {
  await io.out(`${JSON.stringify(value)}\n`);
}

/** Columns as wide as their widest cell. Control characters, which a task may have chosen, are shown and not obeyed. */
export async function printTable(
  io: Io,
  heads: readonly string[],
  rows: readonly (readonly string[])[],
): Promise<void> {
  const cells = rows.map((row) => row.map(visible));
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  await io.out(`${[io.style("bold", line(heads)), ...cells.map(line)].join("\n")}\n`);
}

/** A text from outside as one printable piece. */
export function visible(text: string): string {
  return text.replace(
    /\p{Cc}/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

export function formatDuration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 1) return `${Math.round(ms)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d`;
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 && unit > 0 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function formatCores(millis: number): string {
  return String(millis / 1000);
}

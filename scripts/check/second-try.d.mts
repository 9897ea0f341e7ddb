import type { Entry } from "./vitest-report.mjs";

export function filesToTryAgain(entries: readonly Entry[], unsteady: number): string[] | undefined;
export function withSecondTry(
  entries: readonly Entry[],
  files: readonly string[],
  again: readonly Entry[],
): { readonly entries: readonly Entry[]; readonly unsteady: readonly Entry[] };

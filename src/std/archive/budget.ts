import type { ArchiveLimits } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";

/** A small archive of one dull file may well unpack to more than `ratio` says; it does no harm. */
const RATIO_FROM_BYTES = 1024 * 1024;

/** Counts bytes as they come out. */
export interface Budget {
  /** @throws {@link ExecutorError} ARCHIVE_TOO_LARGE before the byte that is too many is used. */
  spend(bytes: number): void;
  readonly spentBytes: number;
}

/** @param archiveBytes what the archive takes itself; `undefined` asks for no ratio. */
export function openBudget(
  { totalBytes, ratio }: Pick<ArchiveLimits, "totalBytes" | "ratio">,
  archiveBytes?: number,
): Budget {
  let spentBytes = 0;
  return {
    spend(bytes) {
      const sum = spentBytes + bytes;
      if (sum > totalBytes) throw new ExecutorError("ARCHIVE_TOO_LARGE", { limitBytes: totalBytes });
      if (archiveBytes !== undefined && sum > RATIO_FROM_BYTES && sum > archiveBytes * ratio)
        throw new ExecutorError("ARCHIVE_TOO_LARGE", {
          reason: "it unpacks to too many times its own size",
          ratio,
        });
      spentBytes = sum;
    },
    get spentBytes() {
      return spentBytes;
    },
  };
}

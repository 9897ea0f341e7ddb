import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChainEntry, ChainReport, ReceiptLimits, ReceiptLog } from "../../src/core/index.ts";
import { startLocalWriter } from "../../src/drivers/records/chain/local-writer.ts";
import { openReceiptLog } from "../../src/drivers/records/open-receipt-log.ts";
import { systemClock } from "../../src/std/index.ts";
import type { VerifyOptions } from "../../src/std/receipts/index.ts";
import { ChainVerifier } from "../../src/std/receipts/index.ts";
import { silentLog } from "../../src/telemetry/index.ts";

/** More than any test writes. */
export const LIMITS: ReceiptLimits = { records: 1_000_000, ageMs: 86_400_000, bytes: 1e9 };

export type LogOptions = Partial<Parameters<typeof openReceiptLog>[0]>;

export function openLog(folder: string, more: LogOptions = {}): Promise<ReceiptLog> {
  return openReceiptLog({
    file: join(folder, "receipts.db"),
    keyFile: join(folder, "receipts.key"),
    version: "1.2.3",
    isEnabled: true,
    limits: LIMITS,
    clock: systemClock,
    log: silentLog,
    startWriter: startLocalWriter,
    ...more,
  });
}

export async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-receipts-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function withLog(work: (log: ReceiptLog) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    await using log = await openLog(folder);
    await work(log);
  });
}

export function report(text: readonly string[] | Buffer, options: VerifyOptions = {}): ChainReport {
  const lines: readonly string[] = Buffer.isBuffer(text)
    ? text.toString("latin1").split("\n").slice(0, -1)
    : text;
  const verifier = new ChainVerifier(options);
  for (const line of lines) verifier.feed(line);
  return verifier.end();
}

export function entriesOf(lines: readonly string[]): ChainEntry[] {
  return lines
    .filter((line) => line.startsWith('{"entry"'))
    .map((line) => (JSON.parse(line) as { entry: ChainEntry }).entry);
}

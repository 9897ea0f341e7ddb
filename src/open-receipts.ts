/** Opens the chain of receipts: on a thread of its own where the program for that is built. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "./config/index.ts";
import { toReceiptLimits } from "./config/index.ts";
import type { ReceiptLog } from "./core/index.ts";
import type { ChainPlace, ChainWriter } from "./drivers/records/chain/chain-writer.ts";
import { openReceiptLog } from "./drivers/records/open-receipt-log.ts";
import { systemClock } from "./std/index.ts";
import type { OpenLog } from "./telemetry/index.ts";

/** Beside the bundle, as it is shipped. */
const WRITER = new URL("./receipt-writer.mjs", import.meta.url);

/** @throws nothing for a key or a chain that cannot be used: the log says so, and no call is held up. */
export async function openReceipts(
  { receipts, state_dir: stateDir }: Config,
  version: string,
  log: OpenLog,
): Promise<ReceiptLog> {
  return await openReceiptLog({
    file: join(stateDir, "receipts.db"),
    keyFile: join(stateDir, "receipts.key"),
    version,
    isEnabled: receipts.enable,
    limits: toReceiptLimits(receipts),
    clock: systemClock,
    log,
    startWriter,
  });
}

async function startWriter(place: ChainPlace, onLost: () => void): Promise<ChainWriter> {
  if (existsSync(WRITER)) {
    const { startThreadWriter } = await import("./drivers/records/chain/thread-writer.ts");
    return await startThreadWriter(place, { program: WRITER, onLost });
  }
  const { startLocalWriter } = await import("./drivers/records/chain/local-writer.ts");
  return await startLocalWriter(place);
}

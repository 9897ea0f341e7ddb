import type { AttemptEntry, ChainReport, Receipt } from "../../src/core/index.ts";
import type { VerifyOptions } from "../../src/std/receipts/index.ts";
import { ChainVerifier, verifyReceipt } from "../../src/std/receipts/index.ts";
import { poll } from "./poll.ts";
import type { Daemon } from "./start-daemon.ts";

/** The receipt of a run, checked; waits for it, since it is written behind the answer. */
export async function receiptOf(daemon: Pick<Daemon, "baseUrl">, runId: string | null): Promise<Receipt> {
  let receipt: Receipt | undefined;
  await poll("the receipt is there", async () => {
    const answer = await fetch(`${daemon.baseUrl}/v1/runs/${runId}/receipt`);
    if (answer.status !== 200) return `${answer.status}`;
    receipt = (await answer.json()) as Receipt;
    return true;
  });
  if (receipt === undefined) throw new Error("there is no receipt");
  const faults = verifyReceipt(receipt);
  if (faults.length > 0) throw new Error(`the receipt of ${runId}: ${faults.join("; ")}`);
  return receipt;
}

/** The chain as the daemon exports it, line by line. */
export async function chainOf(daemon: Pick<Daemon, "baseUrl">): Promise<string[]> {
  const answer = await fetch(`${daemon.baseUrl}/v1/receipts`);
  if (answer.status !== 200) throw new Error(`the chain: ${answer.status}`);
  return (await answer.text()).split("\n").slice(0, -1);
}

export function verify(lines: readonly string[], options: VerifyOptions = {}): ChainReport {
  const verifier = new ChainVerifier(options);
  for (const line of lines) verifier.feed(line);
  return verifier.end();
}

/** What the phases of an attempt come to; microseconds. */
export function sumOfPhases({ phasesUs }: AttemptEntry): number {
  return Object.values(phasesUs).reduce((sum, us) => sum + us, 0);
}

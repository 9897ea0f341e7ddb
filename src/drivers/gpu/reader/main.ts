/**
 * A program of its own (`gpu-reader.mjs`): reads the cards through NVML and tells them, one JSON line each time. It is apart
 * from the daemon because a sick driver can hang a call for ever, even where no signal reaches; then only this process hangs.
 *
 * Arguments: the pause between two looks, in ms. Ends when its input ends, which is when its parent does.
 */
import type { ReaderMessage } from "../report.ts";
import { dieWithParent } from "./die-with-parent.ts";
import type { NvmlLibrary } from "./nvml-library.ts";
import { loadNvml } from "./nvml-library.ts";
import { CardsReader } from "./read-cards.ts";

const LEAST_POLL_MS = 50;

await main(Math.max(LEAST_POLL_MS, Number(process.argv[2]) || 0));

async function main(pollMs: number): Promise<void> {
  // Signals to the whole group or unit are for the daemon, which ends this process when it ends.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  process.stdin
    .on("end", () => process.exit(0))
    .on("error", () => process.exit(0))
    .resume();
  process.stdout.on("error", () => process.exit(0));
  await dieWithParent();
  const reader = await open();
  if (reader === undefined) return;
  const look = (): void => {
    try {
      say({ type: "cards", ...reader.read(performance.now()) });
    } catch (error) {
      end({ type: "failed", reason: messageOf(error) });
      return;
    }
    setTimeout(look, pollMs);
  };
  look();
}

async function open(): Promise<CardsReader | undefined> {
  let library: NvmlLibrary;
  try {
    library = await loadNvml(process.env);
    return new CardsReader(library);
  } catch (error) {
    end({ type: "unavailable", reason: messageOf(error) });
    return undefined;
  }
}

function say(message: ReaderMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function end(message: ReaderMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`, () => process.exit(0));
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n")[0]?.slice(0, 300) ?? "";
}

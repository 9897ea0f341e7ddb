import type { HearthClient } from "../client/index.ts";
import { sleep } from "../std/sleep.ts";
import type { Context } from "./command.ts";
import { formatDuration } from "./print.ts";

/** A warm call is over before this. */
const FIRST_LOOK_MS = 400;
const NEXT_LOOK_MS = 500;

/**
 * Says on standard error what a call waits for, as long as it waits: on a terminal one line that changes, elsewhere a line
 * for each new reason. Looks at the daemon now and then; a daemon that does not tell is not asked again.
 */
export function watchProgress(context: Context, client: HearthClient, image: string): { stop(): void } {
  const stop = new AbortController();
  const startedAt = performance.now();
  let said = "";
  const look = async (): Promise<void> => {
    await sleep(FIRST_LOOK_MS, stop.signal);
    for (;;) {
      const reason = await reasonFor(client, image, stop.signal);
      if (reason !== undefined) {
        const elapsed = formatDuration(performance.now() - startedAt);
        if (context.io.isErrTty) context.io.status(`${image}: ${reason} (${elapsed})`);
        else if (reason !== said) context.io.err(`hearth: ${image}: ${reason}`);
        said = reason;
      }
      await sleep(NEXT_LOOK_MS, stop.signal);
    }
  };
  // It ends by its own signal, or because the daemon does not tell this caller; neither concerns the call.
  look().catch(() => undefined);
  return {
    stop() {
      stop.abort();
      context.io.status("");
    },
  };
}

async function reasonFor(
  client: HearthClient,
  image: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { waiting } = await client.waiting({ signal });
  return waiting.find((call) => call.image === image || call.image === `${image}:latest`)?.reason;
}

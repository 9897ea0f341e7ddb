import type { LiveSandbox } from "../src/client/index.ts";
import { HearthError } from "../src/client/index.ts";
import { daemon } from "./state/daemon.ts";
import { dialog, say } from "./state/dialogs.ts";

/** Does it, and tells whoever clicked what the daemon said. */
export function attempt(act: () => Promise<string>): void {
  act()
    .then((text) => say(text))
    .catch((error: unknown) => {
      say(error instanceof HearthError ? `${error.code}: ${error.message}` : String(error), true);
    });
}

export function askPause(): void {
  dialog.value = {
    type: "confirm",
    title: "Pause this host?",
    text: "It takes no more calls. Waiting calls are refused, running ones end, and warm tasks go as they fall idle.",
    verb: "Pause",
    act: async () => {
      const { state, running } = await daemon().pause();
      return running === 0
        ? `The executor is ${state}.`
        : `The executor is ${state}; ${running} calls still run.`;
    },
  };
}

export function askUnpause(): void {
  dialog.value = {
    type: "confirm",
    title: "Take calls again?",
    text: "The host takes calls again at once.",
    verb: "Unpause",
    act: async () => `The executor is ${(await daemon().unpause()).state}.`,
  };
}

export function askEvict({ id, image, slotsUsed }: LiveSandbox): void {
  const isBusy = slotsUsed > 0;
  dialog.value = {
    type: "confirm",
    title: `Evict ${image}?`,
    text: isBusy
      ? `${slotsUsed} calls run in it now. They are ended, and its share comes back.`
      : "It is idle. Its share comes back; the next call of this task starts cold.",
    verb: isBusy ? "End calls and evict" : "Evict",
    act: async () => {
      await evict(id, isBusy);
      return `${image} is gone.`;
    },
  };
}

/** What is no longer there need not be removed: by somebody else, or by a request of ours whose answer got lost. */
async function evict(sandboxId: string, force: boolean): Promise<void> {
  try {
    await daemon().evict(sandboxId, { force });
  } catch (error) {
    if (!(error instanceof HearthError && error.code === "SANDBOX_NOT_FOUND")) throw error;
  }
}

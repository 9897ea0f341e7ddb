import type { ImageReference, PullProgress } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { orAbort, systemClock, withDeadline } from "../../../std/index.ts";
import type { Engine } from "../engine/engine.ts";
import { jsonLines } from "../engine/json-lines.ts";
import { readLogin } from "./credentials.ts";
import { PullStreamError, pullFailure } from "./pull-failure.ts";
import { PullTally } from "./pull-progress.ts";

export interface PullOptions {
  readonly registryConfigPath: string | undefined;
  readonly timeoutMs: number;
  readonly stallMs: number;
  /** Aborts when the driver closes: an engine gives a pull up whose listener has gone. */
  readonly closing: AbortSignal;
  onProgress(progress: PullProgress): void;
}

/** Listeners hear about a pull at most this often. */
const PROGRESS_EVERY_MS = 100;

/**
 * Fetches one image and resolves when the engine has it whole.
 *
 * @param image how the caller named it, for the error.
 * @throws {@link ExecutorError} IMAGE_NOT_FOUND, IMAGE_PULL_FAILED (also at either deadline), IMAGE_UNUSABLE for another
 * platform, DISK_FULL, ENGINE_UNAVAILABLE.
 */
export async function pullImage(
  engine: Engine,
  image: string,
  reference: ImageReference & { readonly type: "name" },
  options: PullOptions,
): Promise<void> {
  const { timeoutMs, closing } = options;
  const facts = { image, reason: `it was not here after ${timeoutMs} ms` };
  try {
    await withDeadline({ ms: timeoutMs, code: "IMAGE_PULL_FAILED", facts, parent: closing }, (signal) =>
      pull(engine, image, reference, options, signal),
    );
  } catch (thrown) {
    throw pullFailure(image, thrown);
  }
}

async function pull(
  engine: Engine,
  image: string,
  reference: ImageReference & { readonly type: "name" },
  { registryConfigPath, stallMs, onProgress }: PullOptions,
  signal: AbortSignal,
): Promise<void> {
  const login = await readLogin(registryConfigPath, reference.domain);
  // Without a tag an engine would fetch every tag there is.
  const wanted = reference.digest ?? reference.tag ?? "latest";
  const stall = new StallTimer(image, stallMs);
  const stream = await engine.images.openPull(reference.repository, wanted, login, {
    deadlineMs: stallMs,
    signal,
  });
  const tally = new PullTally(image);
  let toldMs = Number.NEGATIVE_INFINITY;
  const read = async (): Promise<void> => {
    for await (const line of jsonLines(stream)) {
      stall.restart();
      const error = line["error"];
      if (typeof error === "string") throw new PullStreamError(error);
      tally.see(line);
      if (systemClock.nowMs() - toldMs < PROGRESS_EVERY_MS) continue;
      toldMs = systemClock.nowMs();
      onProgress(tally.progress());
    }
    onProgress(tally.progress());
  };
  try {
    stall.restart();
    await Promise.race([orAbort(read(), signal), stall.stalled]);
  } finally {
    stall.stop();
    stream.destroy();
  }
}

/** Rejects when nothing has happened for too long. */
class StallTimer {
  readonly stalled: Promise<never>;
  readonly #stallMs: number;
  #reject: (error: Error) => void = () => undefined;
  #cancel: () => void = () => undefined;
  readonly #error: ExecutorError;

  constructor(image: string, stallMs: number) {
    this.#stallMs = stallMs;
    this.#error = new ExecutorError("IMAGE_PULL_FAILED", { image, reason: `no progress for ${stallMs} ms` });
    this.stalled = new Promise((_, reject) => {
      this.#reject = reject;
    });
  }

  restart(): void {
    this.#cancel();
    this.#cancel = systemClock.after(this.#stallMs, () => this.#reject(this.#error));
  }

  stop(): void {
    this.#cancel();
  }
}

import { join } from "node:path";
import { OUTPUT_FILE } from "../../contract/executer-tracker/index.ts";
import type { ArtifactStore, ByteSink, WrittenArtifact } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { RetryOptions } from "../../std/index.ts";
import { retry } from "../../std/index.ts";

const RETRY = { firstMs: 1_000, maxMs: 30_000 } as const;

/** Of earlier attempts, at most. */
const LOSERS_SWEPT = 16;

export interface Publishing {
  readonly store: ArtifactStore;
  readonly taskDir: string;
  readonly attempt: number;
  /** Ours alone: where an archive is made that has to travel to its store. */
  readonly scratch: string;
  /** Makes the archive; called once more for each try of a store that is written to in place. */
  pack(to: string | ByteSink): Promise<unknown>;
  /** It is packed, and goes to where clients read it. */
  onPacked(): void;
  /** How long it is tried. */
  readonly patienceMs: number;
  /** Whether this host still holds the job, asked of the queue. */
  isHeld(): Promise<boolean>;
  readonly signal: AbortSignal;
}

/**
 * Packs a result and puts it where clients read it. It travels under a name of its own, which takes long; only then, and only while
 * the job is this host's, does it take the name that all attempts share, so that a host that has lost its job does not cover the
 * result of the one that has it now.
 *
 * @returns `undefined` when the job is not held any more.
 */
export async function publishOutput(publishing: Publishing): Promise<WrittenArtifact | undefined> {
  const written = await (publishing.store.stage === undefined
    ? travel(publishing)
    : stageInPlace(publishing));
  if (written !== undefined) await sweepLosers(publishing);
  return written;
}

async function travel(publishing: Publishing): Promise<WrittenArtifact | undefined> {
  const { store, taskDir, attempt, scratch, pack, onPacked, isHeld, signal } = publishing;
  const own = `${taskDir}/${OUTPUT_FILE}.${attempt}`;
  const path = join(scratch, OUTPUT_FILE);
  await pack(path);
  onPacked();
  const again = patienceOf(publishing);
  const written = await retry(again, async () => await store.upload(own, path, signal));
  if (!(await isHeld())) {
    await store.remove(own, signal).catch(() => undefined);
    return undefined;
  }
  await retry(again, async () => await store.move(own, `${taskDir}/${OUTPUT_FILE}`, signal));
  return written;
}

/** A store on this host is written to once, where the result will be. */
async function stageInPlace(publishing: Publishing): Promise<WrittenArtifact | undefined> {
  const { store, taskDir, pack, onPacked, isHeld, signal } = publishing;
  const again = patienceOf(publishing);
  return await retry(again, async () => {
    await using staged = await store.stage?.(`${taskDir}/${OUTPUT_FILE}`, signal);
    if (staged === undefined) return undefined;
    await pack(staged);
    onPacked();
    const written = await staged.seal();
    if (!(await isHeld())) return undefined;
    await retry(again, async () => await staged.publish());
    return written;
  });
}

function patienceOf({ patienceMs, signal }: Publishing): RetryOptions {
  const untilMs = performance.now() + patienceMs;
  const isWorthRetrying = (error: unknown): boolean => mayPass(error) && performance.now() < untilMs;
  return { ...RETRY, tries: Number.POSITIVE_INFINITY, signal, isWorthRetrying };
}

/** What earlier attempts left on their way: their hosts died, or lost the job, before they could take it away themselves. */
async function sweepLosers({ store, taskDir, attempt, signal }: Publishing): Promise<void> {
  const earlier = Array.from(
    { length: Math.min(attempt - 1, LOSERS_SWEPT) },
    (_, back) => attempt - 1 - back,
  );
  // A store that will not remove one is left with a file too many, which is no reason to fail the job.
  await Promise.all(
    earlier.map((at) => store.remove(`${taskDir}/${OUTPUT_FILE}.${at}`, signal).catch(() => undefined)),
  );
}

/** A store whose credentials are being renewed denies for a while; a full one may be emptied. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof ExecutorError)) return false;
  return error.spec.retry === "later" || error.code === "ARTIFACT_STORE_DENIED";
}

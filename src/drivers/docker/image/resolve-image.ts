import type {
  ImageReference,
  Log,
  PullProgress,
  ResolvedImage,
  ResolveOptions,
} from "../../../core/index.ts";
import { ExecutorError, formatImageReference, parseImageReference } from "../../../core/index.ts";
import { orAbort } from "../../../std/index.ts";
import type { Engine } from "../engine/engine.ts";
import { EngineError, isMissing, toExecutorError } from "../engine/engine-error.ts";
import type { ImageFacts } from "../engine/images.ts";
import { readLogin } from "./credentials.ts";
import type { PullOptions } from "./pull-image.ts";
import { pullImage } from "./pull-image.ts";

/** One pull that any number of callers wait for. */
interface Flight {
  readonly landed: Promise<void>;
  readonly listeners: Set<(progress: PullProgress) => void>;
}

type NamedReference = ImageReference & { readonly type: "name" };

export type ResolverOptions = Omit<PullOptions, "onProgress"> & {
  readonly log: Log | undefined;
  readonly nowMs: () => number;
};

/** A registry that could not say what a tag names is not asked again for this long: each cold start would wait for it. */
const SILENT_REGISTRY_MS = 60_000;
/** More registries than anybody uses; then all are forgotten. */
const MAX_SILENT_REGISTRIES = 100;

/** Pins images to their content. All callers that want one image share one pull; a caller who gives up leaves it running. */
export class ImageResolver {
  readonly #engine: Engine;
  readonly #options: ResolverOptions;
  readonly #flights = new Map<string, Flight>();
  /** When a silent registry may be asked again. */
  readonly #silentUntilMs = new Map<string, number>();

  constructor(engine: Engine, options: ResolverOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  /** As `SandboxDriver.resolve` promises. */
  async resolve(image: string, options: ResolveOptions, signal: AbortSignal): Promise<ResolvedImage> {
    signal.throwIfAborted();
    const reference = parseImageReference(image);
    const local = await this.#inspect(reference, signal);
    if (reference.type === "id") {
      if (local !== undefined) return { digest: local.id, wasPulled: false };
      throw noSuchId(image);
    }
    if (local === undefined) {
      if (options.refresh === "never") throw notHere(image);
      await this.#pull(image, reference, options, signal);
    } else {
      const hasMoved = options.refresh === "moved" && (await this.#hasMoved(reference, local, signal));
      if (!hasMoved || !(await this.#pullNewer(image, reference, options, signal))) {
        return { digest: local.id, wasPulled: false };
      }
    }
    const pulled = await this.#inspect(reference, signal);
    if (pulled === undefined) {
      throw new ExecutorError("IMAGE_PULL_FAILED", {
        image,
        reason: "it was removed as soon as it was here",
      });
    }
    return { digest: pulled.id, wasPulled: true };
  }

  /** As `SandboxDriver.checkImage` promises: an id is here or nowhere, and any well-formed name may be in its registry. */
  async check(image: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const reference = parseImageReference(image);
    if (reference.type === "id" && (await this.#inspect(reference, signal)) === undefined)
      throw noSuchId(image);
  }

  async #inspect(reference: ImageReference, signal: AbortSignal): Promise<ImageFacts | undefined> {
    try {
      return await this.#engine.images.inspect(formatImageReference(reference), { signal });
    } catch (thrown) {
      const image = formatImageReference(reference);
      // What engines say of names differs with their age; theirs is the last word.
      if (thrown instanceof EngineError && /invalid reference format/.test(thrown.reason))
        throw new ExecutorError("IMAGE_NAME_INVALID", { image, reason: thrown.reason }, { cause: thrown });
      if (isMissing(thrown)) return undefined;
      signal.throwIfAborted();
      throw toExecutorError(thrown);
    }
  }

  /** Whether the tag names other content in its registry now. A registry that cannot say so in time has not moved it. */
  async #hasMoved(reference: NamedReference, local: ImageFacts, signal: AbortSignal): Promise<boolean> {
    const known = local.repoDigests.filter((digest) => digest.startsWith(`${reference.repository}@`));
    if (reference.digest !== undefined || known.length === 0) return false;
    if ((this.#silentUntilMs.get(reference.domain) ?? 0) > this.#options.nowMs()) return false;
    try {
      const login = await readLogin(this.#options.registryConfigPath, reference.domain);
      const digest = await this.#engine.images.distributionDigest(formatImageReference(reference), login, {
        signal,
      });
      return digest !== "" && !known.includes(`${reference.repository}@${digest}`);
    } catch (error) {
      signal.throwIfAborted();
      if (this.#silentUntilMs.size >= MAX_SILENT_REGISTRIES) this.#silentUntilMs.clear();
      this.#silentUntilMs.set(reference.domain, this.#options.nowMs() + SILENT_REGISTRY_MS);
      this.#options.log?.log("debug", "image.refused", { image: formatImageReference(reference), error });
      return false;
    }
  }

  /** A newer content is welcome but not needed: if it does not come, what is here serves. */
  async #pullNewer(
    image: string,
    reference: NamedReference,
    options: ResolveOptions,
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      await this.#pull(image, reference, options, signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      this.#options.log?.log("warn", "image.refused", { image, error });
      return false;
    }
  }

  async #pull(
    image: string,
    reference: NamedReference,
    options: ResolveOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const flight = this.#board(image, reference);
    const listen = options.onProgress?.bind(options);
    if (listen !== undefined) flight.listeners.add(listen);
    try {
      await orAbort(flight.landed, signal);
    } finally {
      if (listen !== undefined) flight.listeners.delete(listen);
    }
  }

  /** The pull of this image that is under way, or a new one. */
  #board(image: string, reference: NamedReference): Flight {
    const key = formatImageReference(reference);
    const present = this.#flights.get(key);
    if (present !== undefined) return present;
    const listeners = new Set<(progress: PullProgress) => void>();
    const onProgress = (progress: PullProgress): void => {
      for (const listen of listeners) listen(progress);
    };
    const landed = pullImage(this.#engine, image, reference, { ...this.#options, onProgress }).finally(() => {
      this.#flights.delete(key);
    });
    // Every caller may have given up by the time it fails; then nobody is left to be told.
    landed.catch(() => undefined);
    const flight = { landed, listeners };
    this.#flights.set(key, flight);
    return flight;
  }
}

function noSuchId(image: string): ExecutorError {
  return new ExecutorError("IMAGE_NOT_FOUND", { image, reason: "no image here has this id" });
}

function notHere(image: string): ExecutorError {
  return new ExecutorError("IMAGE_NOT_FOUND", {
    image,
    reason: "it is not on this host, and it is not to be fetched",
  });
}

import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { readText, readTexts, toReadable } from "./answer.ts";
import type { CallOptions, EngineCaller } from "./caller.ts";
import { isLostReply } from "./engine-error.ts";

export interface ImageFacts {
  readonly id: string;
  /** `repository@digest` of every registry it is known to come from. */
  readonly repoDigests: readonly string[];
  readonly architecture: string;
  /** The user that it runs as; empty for the first one. */
  readonly user: string;
}

/** What a registry wants to see, as Docker's own clients keep it. */
export interface RegistryLogin {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly serveraddress: string;
}

const LOAD_DEADLINE_MS = 60_000;
/** How long an engine may take to ask a registry what a tag names now. */
const DISTRIBUTION_DEADLINE_MS = 2000;

/** Images, in our words. References come from `parseImageReference`, so that they can stand in a URL. */
export class ImageClient {
  readonly #docker: Docker;
  readonly #caller: EngineCaller;

  constructor(docker: Docker, caller: EngineCaller) {
    this.#docker = docker;
    this.#caller = caller;
  }

  async inspect(reference: string, options: CallOptions = {}): Promise<ImageFacts> {
    const info = await this.#caller.read(
      "image inspect",
      () => this.#docker.getImage(reference).inspect(),
      options,
    );
    return {
      id: info.Id,
      repoDigests: readTexts(info, "RepoDigests"),
      architecture: info.Architecture,
      user: readText(info.Config, "User") ?? "",
    };
  }

  /** Begins a pull; the answer is its progress, one JSON object a line. The deadline covers its first line only. */
  async openPull(
    repository: string,
    tagOrDigest: string,
    login: RegistryLogin | undefined,
    options: CallOptions,
  ): Promise<Readable> {
    const stream = await this.#caller.call(
      "pull",
      () => this.#docker.createImage(login, { fromImage: repository, tag: tagOrDigest }),
      options,
    );
    return toReadable(stream);
  }

  /** Loads an image archive as `docker save` writes it; once more if the answer is lost, for twice is once. */
  async load(archive: Buffer, options: CallOptions = {}): Promise<void> {
    try {
      await this.#load(archive, options);
    } catch (thrown) {
      if (!isLostReply(thrown)) throw thrown;
      await this.#load(archive, options);
    }
  }

  async #load(archive: Buffer, options: CallOptions): Promise<void> {
    await this.#caller.call(
      "image load",
      async () => {
        // In one piece: an engine that has read enough may hang up before the end of a stream is told, and its answer is
        // lost. The library takes a buffer; its types do not know.
        const whole = archive as unknown as NodeJS.ReadableStream;
        const reply = await this.#docker.loadImage(whole, { quiet: true });
        await drain(toReadable(reply));
      },
      { deadlineMs: LOAD_DEADLINE_MS, ...options },
    );
  }

  /** The digest that a reference names in its registry now. */
  async distributionDigest(
    reference: string,
    login: RegistryLogin | undefined,
    options: CallOptions = {},
  ): Promise<string> {
    const answer: unknown = await this.#caller.call(
      "distribution",
      () => this.#docker.getImage(reference).distribution(login === undefined ? {} : { authconfig: login }),
      { deadlineMs: DISTRIBUTION_DEADLINE_MS, ...options },
    );
    const digest = (answer as { Descriptor?: { digest?: unknown } } | null)?.Descriptor?.digest;
    return typeof digest === "string" ? digest : "";
  }
}

async function drain(stream: Readable): Promise<void> {
  for await (const _ of stream) {
    // Only its end matters.
  }
}

import type { Readable } from "node:stream";
import type Docker from "dockerode";
import type { ContainerBody } from "../container/container-body.ts";
import { toReadable } from "./answer.ts";
import type { CallOptions, EngineCaller } from "./caller.ts";
import { HEAVY_VERB_DEADLINE_MS } from "./caller.ts";
import { EngineError, isLostReply, isMissing } from "./engine-error.ts";

/** What we need to know about one container. */
export interface ContainerFacts {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly isRunning: boolean;
  readonly isPaused: boolean;
  readonly exitCode: number;
  readonly wasOutOfMemory: boolean;
  /** Wall clock time of its last start; NaN if it never was. */
  readonly startedAtMs: number;
  /** The engine's own words about a start that failed. */
  readonly error: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The runtime that it runs in; engines fill in their default. */
  readonly runtime: string;
  /** `container:<id>` or a network's name. */
  readonly networkMode: string;
  /** IPv4 address per network name. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Host port that the task's port is published on, if any. */
  readonly publishedPort: number | undefined;
}

/** One row of the engine's list. */
export interface ContainerRow {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly networkMode: string;
}

export interface LogQuery {
  readonly follow: boolean;
  readonly timestamps?: boolean;
  /** Seconds since the epoch with a nanosecond fraction. */
  readonly since?: string;
}

/** What an engine answers when there is nothing to start any more. */
const ALREADY_STARTED = 304;
const NAME_IN_USE = 409;

/** Containers, in our words. A body for `create` comes from `container/body.ts` and from nowhere else. */
export class ContainerClient {
  readonly #docker: Docker;
  readonly #caller: EngineCaller;

  constructor(docker: Docker, caller: EngineCaller) {
    this.#docker = docker;
    this.#caller = caller;
  }

  /** @returns the new container's id. The name must be one that nothing else ever gets. */
  async create(name: string, body: ContainerBody, options: CallOptions = {}): Promise<string> {
    try {
      return await this.#create(name, body, options);
    } catch (thrown) {
      if (!isLostReply(thrown)) throw thrown;
      return await this.#createAgain(name, body, options, thrown);
    }
  }

  /**
   * After a lost answer. Of two creates by one name at most one makes something; as long as it is not known what the first one
   * has made, `lost` is what is thrown.
   */
  async #createAgain(
    name: string,
    body: ContainerBody,
    options: CallOptions,
    lost: unknown,
  ): Promise<string> {
    const made = await this.#made(name, lost);
    if (made !== undefined) return made;
    try {
      return await this.#create(name, body, options);
    } catch (thrown) {
      if (!(thrown instanceof EngineError)) throw lost;
      const isRefused = thrown.status < 500 && thrown.status !== NAME_IN_USE;
      const madeMeanwhile = isRefused ? undefined : await this.#made(name, lost);
      if (madeMeanwhile !== undefined) return madeMeanwhile;
      throw thrown.status === NAME_IN_USE ? lost : thrown;
    }
  }

  /** Starts one that was just created; it is started once, whatever becomes of the engine's answer. */
  async start(id: string, options: CallOptions = {}): Promise<void> {
    try {
      await this.#start(id, options);
    } catch (thrown) {
      if (!isLostReply(thrown)) throw thrown;
      // Engines start once more what has ended: a short command would run twice.
      if (!(await this.#hasStarted(id, thrown))) await this.#start(id, options);
    }
  }

  /** Whether a start whose answer got lost has worked, also if what it started has ended by now. */
  async #hasStarted(id: string, lost: unknown): Promise<boolean> {
    try {
      return (await this.inspect(id)).status !== "created";
    } catch (thrown) {
      if (isMissing(thrown)) return false;
      throw lost;
    }
  }

  async #create(name: string, body: ContainerBody, options: CallOptions): Promise<string> {
    return await this.#caller.call(
      "create",
      async (abortSignal) => {
        // Without `_query` and `_body` the library writes the whole body into the URL as well; its types do not know them.
        const request = { _query: { name }, _body: body, abortSignal } as Docker.ContainerCreateOptions;
        return (await this.#docker.createContainer(request)).id;
      },
      { deadlineMs: HEAVY_VERB_DEADLINE_MS, ...options },
    );
  }

  /** What came of a create whose answer got lost; `undefined` if there is nothing, or nothing yet. */
  async #made(name: string, lost: unknown): Promise<string | undefined> {
    try {
      return (await this.inspect(name)).id;
    } catch (thrown) {
      if (isMissing(thrown)) return undefined;
      throw lost;
    }
  }

  async #start(id: string, options: CallOptions): Promise<void> {
    try {
      await this.#caller.call(
        "start",
        (abortSignal) => this.#docker.getContainer(id).start({ abortSignal }),
        { deadlineMs: HEAVY_VERB_DEADLINE_MS, ...options },
      );
    } catch (thrown) {
      if (!(thrown instanceof EngineError) || thrown.status !== ALREADY_STARTED) throw thrown;
    }
  }

  async inspect(id: string, options: CallOptions = {}): Promise<ContainerFacts> {
    const info = await this.#caller.read(
      "inspect",
      (abortSignal) => this.#docker.getContainer(id).inspect({ abortSignal }),
      options,
    );
    return toFacts(info);
  }

  /** @param labels `name=value` pairs that all must be there. Containers in any state are listed. */
  async list(labels: readonly string[], options: CallOptions = {}): Promise<readonly ContainerRow[]> {
    const rows = await this.#caller.read(
      "list",
      (abortSignal) =>
        this.#docker.listContainers({ all: true, filters: { label: [...labels] }, abortSignal }),
      options,
    );
    return rows.map((row) => ({
      id: row.Id,
      name: (row.Names[0] ?? "").replace(/^\//, ""),
      state: row.State,
      labels: row.Labels,
      networkMode: row.HostConfig.NetworkMode,
    }));
  }

  async pause(id: string, options: CallOptions = {}): Promise<void> {
    await this.#caller.call(
      "pause",
      (abortSignal) => this.#docker.getContainer(id).pause({ abortSignal }),
      options,
    );
  }

  async unpause(id: string, options: CallOptions = {}): Promise<void> {
    await this.#caller.call(
      "unpause",
      (abortSignal) => this.#docker.getContainer(id).unpause({ abortSignal }),
      options,
    );
  }

  async kill(id: string, signalName: string, options: CallOptions = {}): Promise<void> {
    await this.#caller.call(
      "kill",
      (abortSignal) => this.#docker.getContainer(id).kill({ signal: signalName, abortSignal }),
      options,
    );
  }

  /** Kills it if it runs, and removes it with its anonymous volumes. */
  async remove(id: string, options: CallOptions = {}): Promise<void> {
    await this.#caller.call(
      "remove",
      () => this.#docker.getContainer(id).remove({ force: true, v: true }),
      options,
    );
  }

  /** The whole log as the engine frames it; bounded by the log's own cap. */
  async readLog(id: string, query: Omit<LogQuery, "follow">, options: CallOptions = {}): Promise<Buffer> {
    const read = await this.#caller.call(
      "logs",
      (abortSignal) =>
        this.#docker.getContainer(id).logs({ ...logOptions(query), follow: false, abortSignal }),
      options,
    );
    return Buffer.isBuffer(read) ? read : Buffer.from(read);
  }

  /** The log as a stream that ends with the container; destroy it to stop. The deadline covers its opening only. */
  async openLog(id: string, query: Omit<LogQuery, "follow">, options: CallOptions = {}): Promise<Readable> {
    const stream = await this.#caller.call(
      "logs",
      () => this.#docker.getContainer(id).logs({ ...logOptions(query), follow: true }),
      options,
    );
    return toReadable(stream);
  }

  /** One file or folder of a container in any state, as a tar archive; at most `maxBytes` of it. */
  async readArchive(id: string, path: string, maxBytes: number, options: CallOptions = {}): Promise<Buffer> {
    return await this.#caller.call(
      "archive",
      async (abortSignal) => {
        const stream = toReadable(await this.#docker.getContainer(id).getArchive({ path, abortSignal }));
        return await readAtMost(stream, maxBytes);
      },
      options,
    );
  }

  /** One sample, without the second that the engine waits by default to measure a rate. */
  async stats(id: string, options: CallOptions = {}): Promise<Docker.ContainerStats> {
    return await this.#caller.call("stats", () => this.#docker.getContainer(id).stats(ONE_SHOT), options);
  }
}

async function readAtMost(stream: Readable, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of stream) {
    pieces.push(piece as Buffer);
    bytes += (piece as Buffer).length;
    if (bytes >= maxBytes) break;
  }
  return Buffer.concat(pieces).subarray(0, maxBytes);
}

/** Known to the engine since 1.41 and not to the library's types. */
const ONE_SHOT = { stream: false, "one-shot": true } as const;

function logOptions(query: Omit<LogQuery, "follow">): {
  stdout: true;
  stderr: true;
  since?: string;
  timestamps?: true;
} {
  return {
    stdout: true,
    stderr: true,
    ...(query.since === undefined ? {} : { since: query.since }),
    ...(query.timestamps === true ? { timestamps: true as const } : {}),
  };
}

interface PublishedPort {
  readonly HostPort: string;
}

function toFacts(info: Docker.ContainerInspectInfo): ContainerFacts {
  const { State: state, NetworkSettings: net } = info;
  if (typeof info.Id !== "string")
    throw new EngineError("inspect", 500, "the engine's answer has no id", info);
  const addresses: Record<string, string> = {};
  for (const [name, end] of Object.entries(net.Networks)) {
    if (end.IPAddress !== "") addresses[name] = end.IPAddress;
  }
  const published = Object.values(net.Ports).flatMap(
    (ports: readonly PublishedPort[] | null) => ports ?? [],
  )[0]?.HostPort;
  return {
    id: info.Id,
    name: info.Name.replace(/^\//, ""),
    status: state.Status,
    isRunning: state.Running,
    isPaused: state.Paused,
    exitCode: state.ExitCode,
    wasOutOfMemory: state.OOMKilled,
    startedAtMs: Date.parse(state.StartedAt),
    error: state.Error,
    labels: info.Config.Labels,
    runtime: info.HostConfig.Runtime ?? "",
    networkMode: info.HostConfig.NetworkMode ?? "",
    addresses,
    publishedPort: published === undefined ? undefined : Number(published),
  };
}

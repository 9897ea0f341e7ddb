import type {
  Clock,
  FollowedEvent,
  JobEvent,
  JobProducer,
  NewRequest,
  SourceState,
} from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { withDeadline } from "../../../std/index.ts";
import type { Connection } from "./connection.ts";
import { openConnection } from "./connection.ts";
import { evaluate } from "./evaluate.ts";
import { reasonOf, unavailable } from "./failure.ts";
import { followStream } from "./producer-follow.ts";
import { COMMAND, ENQUEUE, WITHDRAW } from "./producer-scripts.ts";
import type { RedisSettings, RedisTimes } from "./settings.ts";
import { REDIS_TIMES } from "./settings.ts";

export interface ProducerOptions {
  readonly settings: RedisSettings;
  readonly times?: RedisTimes;
  /** The stream of events, and about how many of them are kept. */
  readonly eventsStream: string;
  readonly eventsMax: number;
  /** The list that a job's commands are put on. */
  readonly commandKeyOf: (jobId: string) => string;
  readonly clock: Clock;
}

/** A kill that nobody took, since its job had ended, is forgotten after this; and no list grows longer than this. */
const COMMANDS_LIFE_S = 7 * 24 * 60 * 60;
const COMMANDS_MAX = 16;
/** How long a call waits for a connection that is not up. */
const RISE_MS = 2000;

/** Opens the side of the queue that puts jobs in. Returns at once, and connects in the background. */
export function openRedisProducer(options: ProducerOptions): JobProducer {
  const { settings, clock } = options;
  const times = options.times ?? REDIS_TIMES;
  const connection = openConnection({ settings, times, clock });
  // A read that waits for events would hold everything else up.
  const reader = openConnection({ settings, times, clock });
  return new RedisProducer(options, connection, reader);
}

class RedisProducer implements JobProducer {
  readonly #options: ProducerOptions;
  readonly #connection: Connection;
  readonly #reader: Connection;
  /** Two keys of the contract's names have two slots there, and no script may touch both. */
  readonly #isCluster: boolean;

  constructor(options: ProducerOptions, connection: Connection, reader: Connection) {
    this.#options = options;
    this.#connection = connection;
    this.#reader = reader;
    this.#isCluster = options.settings.type === "cluster";
  }

  get state(): SourceState {
    const { state } = this.#connection;
    return state.type === "up" ? { type: "connected" } : state;
  }

  async publish(events: readonly JobEvent[]): Promise<void> {
    for (const event of events) await this.#do(() => this.#addEvent(event));
  }

  async enqueue({ stream, fields }: NewRequest, event: JobEvent): Promise<string> {
    const { eventsStream, eventsMax } = this.#options;
    const flat = Object.entries(fields).flat();
    return String(
      await this.#do(async () => {
        if (!this.#isCluster) {
          const rest = [String(eventsMax), event.type, JSON.stringify(event.json), ...flat];
          return await evaluate(this.#connection, ENQUEUE, [eventsStream, stream], rest);
        }
        // The event first: nobody can start a job before it is known that its input is there.
        await this.#addEvent(event);
        return await this.#connection.send(["XADD", stream, "*", ...flat], { key: stream });
      }),
    );
  }

  async withdraw(stream: string, entryId: string, event: JobEvent): Promise<boolean> {
    if (this.#isCluster) return false;
    const { eventsStream, eventsMax } = this.#options;
    const rest = [entryId, String(eventsMax), event.type, JSON.stringify(event.json)];
    const removed = await this.#do(() => evaluate(this.#connection, WITHDRAW, [stream, eventsStream], rest));
    return Number(removed) === 1;
  }

  async command(jobId: string, message: string): Promise<void> {
    const rest = [message, String(COMMANDS_LIFE_S), String(COMMANDS_MAX)];
    const key = this.#options.commandKeyOf(jobId);
    await this.#do(() => evaluate(this.#connection, COMMAND, [key], rest));
  }

  async openGroups(streams: readonly string[], group: string): Promise<void> {
    for (const stream of streams) {
      await this.#do(async () => {
        const args = ["XGROUP", "CREATE", stream, group, "0", "MKSTREAM"];
        return await this.#connection.send(args, { key: stream }).catch((error: unknown) => {
          if (!/\bBUSYGROUP\b/.test(reasonOf(error))) throw error;
        });
      });
    }
  }

  follow(
    afterId: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<FollowedEvent | { readonly type: "restarted" }> {
    return followStream(this.#reader, this.#options.eventsStream, afterId, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#connection[Symbol.asyncDispose](), this.#reader[Symbol.asyncDispose]()]);
  }

  async #addEvent({ type, json }: JobEvent): Promise<unknown> {
    const { eventsStream, eventsMax } = this.#options;
    const entry = ["*", "type", type, "json", JSON.stringify(json)];
    const args = ["XADD", eventsStream, "MAXLEN", "~", String(eventsMax), ...entry];
    return await this.#connection.send(args, { key: eventsStream });
  }

  /** Waits a moment for a connection that is just coming up, and says in our words what went wrong. */
  async #do<T>(work: () => Promise<T>): Promise<T> {
    try {
      await this.#awaitConnection();
      return await work();
    } catch (error) {
      if (error instanceof ExecutorError) throw error;
      throw unavailable(reasonOf(error), error);
    }
  }

  async #awaitConnection(): Promise<void> {
    if (this.#connection.state.type === "up") return;
    const deadline = { ms: RISE_MS, code: "QUEUE_UNAVAILABLE" as const, clock: this.#options.clock };
    await withDeadline(deadline, (signal) => this.#connection.untilUp(signal));
  }
}

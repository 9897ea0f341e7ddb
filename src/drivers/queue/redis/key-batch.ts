import type { Connection } from "./connection.ts";
import type { Script } from "./evaluate.ts";
import { evaluate, script } from "./evaluate.ts";
import { listOf, textOf } from "./replies.ts";

/** Takes the messages out of each list, ARGV[1] at most, the oldest first: `key, message, key, message…`. What is no list says nothing. */
export const POP = script(`
local heard = {}
for _, key in ipairs(KEYS) do
  for _ = 1, tonumber(ARGV[1]) do
    local ok, message = pcall(redis.call, 'RPOP', key)
    if not ok or type(message) ~= 'string' then break end
    heard[#heard + 1] = key
    heard[#heard + 1] = message
  end
end
return heard
`);

/** Gives each key ARGV[1] seconds to live. What is no list is not ours to end. */
export const LIMIT = script(`
for _, key in ipairs(KEYS) do
  if redis.call('TYPE', key)['ok'] == 'list' then redis.call('EXPIRE', key, ARGV[1]) end
end
return {}
`);

/**
 * The same for lists of jobs that are over; one that is not there is made, with the message ARGV[2], and lives ARGV[3] seconds.
 * Whoever pushes later pushes to a list that ends.
 */
export const CLOSE = script(`
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key)['ok']
  if kind == 'list' then
    redis.call('EXPIRE', key, ARGV[1])
  elseif kind == 'none' then
    redis.call('RPUSH', key, ARGV[2])
    redis.call('EXPIRE', key, ARGV[3])
  end
end
return {}
`);

/** Jobs come and go many at a time; what is to be done to their lists is done together. */
const GATHER_MS = 2;
/** Redis does nothing else while a script runs. */
const MOST_AT_ONCE = 200;

export interface KeyBatchOptions {
  readonly connection: Connection;
  /** There no script reaches keys of two slots: each goes by itself. */
  readonly isCluster: boolean;
  readonly deed: Script;
  readonly args: readonly string[];
  /** Told of each pair that the deed answers. */
  readonly onReply?: (key: string, value: string) => void;
}

/** Does one thing to many keys at once, a moment after it was asked for. */
export class KeyBatch {
  readonly #options: KeyBatchOptions;
  readonly #keys = new Set<string>();
  #round: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #abandon: (reason: Error) => void = () => undefined;
  #isStopped = false;

  constructor(options: KeyBatchOptions) {
    this.#options = options;
  }

  /** Resolves once it is done, for these and for all others of the moment. @throws what one of them met. */
  add(keys: readonly string[]): Promise<void> {
    if (this.#isStopped) return Promise.reject(new Error("closed"));
    for (const key of keys) this.#keys.add(key);
    this.#round ??= new Promise((resolve, reject) => {
      this.#abandon = reject;
      this.#timer = setTimeout(() => {
        this.#round = undefined;
        this.#send().then(resolve, reject);
      }, GATHER_MS);
    });
    return this.#round;
  }

  /** What was asked for and not yet sent is given up. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#abandon(new Error("closed"));
  }

  async #send(): Promise<void> {
    const keys = [...this.#keys];
    this.#keys.clear();
    const most = this.#options.isCluster ? 1 : MOST_AT_ONCE;
    const asked: Promise<void>[] = [];
    for (let at = 0; at < keys.length; at += most) asked.push(this.#ask(keys.slice(at, at + most)));
    await Promise.all(asked);
  }

  async #ask(keys: readonly string[]): Promise<void> {
    const { connection, deed, args, onReply } = this.#options;
    const reply = listOf(await evaluate(connection, deed, keys, args)).map(textOf);
    for (let at = 0; at + 1 < reply.length; at += 2) onReply?.(reply[at] ?? "", reply[at + 1] ?? "");
  }
}

import type { Claim, Clock } from "../../../core/index.ts";
import type { Connection } from "./connection.ts";
import { evaluate, type Script } from "./evaluate.ts";
import { hashTag, type Place, placesOf, tagged } from "./names.ts";
import type { RedisSourceOptions, SourceLimits } from "./source-options.ts";

/** What every script is told of us, whichever it is; `scripts/common.ts` says what the letters mean. */
export class Base {
  readonly connection: Connection;
  readonly options: RedisSourceOptions;
  readonly limits: SourceLimits;
  readonly clock: Clock;
  /** This life of the daemon: an earlier one with the same name is another host to the fence. */
  readonly life: string;
  readonly isCluster: boolean;
  readonly #known = new Map<string, string>();

  constructor(parts: {
    readonly connection: Connection;
    readonly options: RedisSourceOptions;
    readonly limits: SourceLimits;
    readonly clock: Clock;
    readonly life: string;
  }) {
    this.connection = parts.connection;
    this.options = parts.options;
    this.limits = parts.limits;
    this.clock = parts.clock;
    this.life = parts.life;
    this.isCluster = parts.options.settings.type === "cluster";
  }

  places(streams: readonly string[]): readonly Place[] {
    return placesOf(streams, this.limits.prefix, this.isCluster);
  }

  placeOf(stream: string): Place {
    return this.places([stream])[0] ?? { prefix: this.limits.prefix, streams: [stream] };
  }

  /** Where the events are, for what is published without an entry. */
  get eventsPlace(): Place {
    const { prefix, events } = this.limits;
    return { prefix: this.isCluster ? tagged(prefix, hashTag(events)) : prefix, streams: [] };
  }

  /** In a cluster events wait beside their stream until they are carried over: no script can reach both. */
  outboxOf(place: Place): string {
    return `${place.prefix}outbox`;
  }

  deadKeyOf(place: Place): string {
    return `${place.prefix}dead`;
  }

  /** Runs a script in one place. */
  async run(
    script: Script,
    place: Place,
    keys: readonly string[],
    more: Readonly<Record<string, unknown>>,
  ): Promise<unknown> {
    const own = this.#told(place);
    const rest = JSON.stringify(more);
    const all = rest === "{}" ? `${own}}` : `${own},${rest.slice(1)}`;
    return await evaluate(this.connection, script, keys, [all]);
  }

  /** What is the same in every call: written once, without its closing brace. */
  #told(place: Place): string {
    const isOutbox = this.isCluster && place.streams.length > 0;
    const name = `${place.prefix} ${isOutbox}`;
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const { limits, life } = this;
    const { group, consumer } = this.options;
    const told = JSON.stringify({
      p: place.prefix,
      g: group,
      c: consumer,
      life,
      lease: limits.leaseMs,
      keep: Math.ceil(limits.keepMs / 1000),
      trim: limits.trimsDone,
      events: isOutbox ? this.outboxOf(place) : limits.events,
      maxEvents: limits.maxEvents,
      dead: this.deadKeyOf(place),
      maxDead: limits.maxDead,
    }).slice(0, -1);
    this.#known.set(name, told);
    return told;
  }
}

/** A claim as the scripts read it. */
export function told(claim: Claim): readonly [string, string, number, string] {
  return [claim.stream, claim.entryId, claim.attempt, claim.jobId];
}

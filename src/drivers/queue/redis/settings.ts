import type { Secret } from "../../../core/index.ts";

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** Transport security: certificates as PEM text. Without `ca` those of the system are believed. */
export interface RedisTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: Secret;
  /** The name that the certificate must bear, where it differs from the host. */
  readonly serverName?: string;
}

interface Access {
  /** An ACL user; without it the password is that of the default user. */
  readonly username?: string;
  readonly password?: Secret;
  readonly tls?: RedisTls;
}

/** Where Redis (6.2 or later, or Valkey) is, and who we are to it. */
export type RedisSettings = Access &
  (
    | { readonly type: "single"; readonly address: RedisAddress; readonly database?: number }
    | {
        readonly type: "sentinel";
        /** The name of the primary, as the sentinels know it. */
        readonly primary: string;
        readonly sentinels: readonly RedisAddress[];
        readonly sentinelUsername?: string;
        readonly sentinelPassword?: Secret;
        readonly database?: number;
      }
    | { readonly type: "cluster"; readonly nodes: readonly RedisAddress[] }
  );

/** How long things may take; the defaults are those of docs/queue.md, tests scale them down. */
export interface RedisTimes {
  /** The longest that a command waits for its reply; then the connection is given up as dead. Default 5 s. */
  readonly commandMs: number;
  /** What a blocking command may take beyond its own wait. Default 2 s. */
  readonly blockGraceMs: number;
  /** How long a connection may be silent before it is asked whether it lives. Default 5 s. */
  readonly silenceMs: number;
  /** Pauses between two tries to connect: the first, and the longest. Default 0.25 s and 5 s. */
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

export const REDIS_TIMES: RedisTimes = {
  commandMs: 5000,
  blockGraceMs: 2000,
  silenceMs: 5000,
  retryFirstMs: 250,
  retryMaxMs: 5000,
};

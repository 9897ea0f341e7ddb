import { ClientClosedError, createClient, createCluster, ErrorReply } from "@redis/client";
import type { RedisAddress, RedisSettings, RedisTls } from "./settings.ts";

/** What we need of the library. It speaks RESP 2, in which all versions from 6.2 on answer alike. */
export interface Client {
  /** @param key what a cluster finds the node by. */
  send(args: readonly string[], key?: string): Promise<unknown>;
  destroy(): void;
}

export interface ClientAccess {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly database?: number | undefined;
  readonly tls?: RedisTls | undefined;
  readonly connectMs: number;
}

export function accessOf(settings: RedisSettings, connectMs: number): ClientAccess {
  return {
    username: settings.username,
    password: settings.password?.reveal(),
    database: settings.type === "cluster" ? undefined : settings.database,
    tls: settings.tls,
    connectMs,
  };
}

/** How a socket is opened, for one that names a host. Never tries again by itself: that is for whoever opened it. */
export function socketOptions(address: RedisAddress, { tls, connectMs }: ClientAccess) {
  const plain = {
    host: address.host,
    port: address.port,
    connectTimeout: connectMs,
    reconnectStrategy: false as const,
    keepAliveInitialDelay: 5000,
  };
  return tls === undefined ? plain : { ...plain, ...tlsOptions(tls) };
}

export function tlsOptions({ ca, cert, key, serverName }: RedisTls) {
  return {
    tls: true as const,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: key.reveal() }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** What every client of ours has in common: fails visibly while offline, and asks the server for nothing that an ACL might forbid. */
export function plainOptions(access: ClientAccess) {
  return {
    RESP: 2 as const,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled" as const,
    // Whoever opens a client watches for answers that are overdue; a timer for each command would cost more than the command.
    commandOptions: { timeout: 0 },
    ...(access.username === undefined ? {} : { username: access.username }),
    ...(access.password === undefined ? {} : { password: access.password }),
    ...(access.database === undefined ? {} : { database: access.database }),
  };
}

/**
 * Connects once, with a deadline of its own.
 *
 * @throws what the library says; nothing stays open.
 */
export async function openClient(
  address: RedisAddress,
  access: ClientAccess,
  onGone: (reason: unknown) => void,
): Promise<Client> {
  const client = createClient({ ...plainOptions(access), socket: socketOptions(address, access) });
  let last: unknown;
  client.on("error", (error: unknown) => {
    last = error;
  });
  client.on("terminated", (error: unknown) => onGone(error));
  client.on("end", () => onGone(last ?? new Error("the connection was closed")));
  // The library bounds the connecting alone, not what it says after it.
  const timer = setTimeout(() => {
    last ??= new Error("no greeting in time");
    client.destroy();
  }, access.connectMs * 2);
  try {
    await client.connect();
    return { send: async (args) => await client.sendCommand([...args]), destroy: () => client.destroy() };
  } catch (error) {
    client.destroy();
    throw last ?? error;
  } finally {
    clearTimeout(timer);
  }
}

/** All primaries of a cluster behind one client, which finds the one that has a key. */
export async function openClusterClient(
  settings: Extract<RedisSettings, { type: "cluster" }>,
  access: ClientAccess,
  onGone: (reason: unknown) => void,
): Promise<Client> {
  const socket = { ...socketOptions({ host: "", port: 0 }, access), host: undefined, port: undefined };
  const { host: _host, port: _port, ...shared } = socket;
  const options = plainOptions(access);
  const cluster = createCluster({
    RESP: 2,
    rootNodes: settings.nodes.map((node) => ({ ...options, socket: { ...shared, ...node } })),
    defaults: { ...options, socket: shared },
  });
  // One node that is away is noticed by whoever needs it; the library looks for its successor.
  cluster.on("error", () => undefined);
  const timer = setTimeout(() => cluster.destroy(), access.connectMs * 2);
  try {
    await cluster.connect();
  } catch (error) {
    destroyQuietly(cluster);
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    send: async (args, key) => {
      try {
        return await cluster.sendCommand(key, false, [...args]);
      } catch (error) {
        if (!(error instanceof ErrorReply)) onGone(error);
        throw error;
      }
    },
    destroy: () => destroyQuietly(cluster),
  };
}

function destroyQuietly(client: { destroy(): void }): void {
  try {
    client.destroy();
  } catch (error) {
    if (!(error instanceof ClientClosedError)) throw error;
  }
}

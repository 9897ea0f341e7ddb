import type { Server } from "node:net";
import { createServer } from "node:net";
import { ExecutorError } from "../core/index.ts";

/** An address that something listens on, or wants to. */
export interface ListenAddress {
  /** An address or name. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** The section of the settings that names it by `host` and `port`. */
  readonly section: string;
}

/**
 * Finds out whether all of these addresses can be listened on at once, before anything else is done: a daemon that cannot have
 * its addresses must not touch what an earlier life left.
 *
 * @throws {@link ExecutorError} ADDRESS_IN_USE; CONFIG_INVALID for an address that cannot be listened on.
 */
export async function checkAddresses(addresses: readonly ListenAddress[]): Promise<void> {
  const servers: Server[] = [];
  try {
    for (const address of addresses) servers.push(await listen(address));
  } finally {
    await Promise.all(servers.map(close));
  }
}

/** Why an address cannot be had, by what the system said. */
export function notListening({ host, port, section }: ListenAddress, cause: unknown): ExecutorError {
  const code = (cause as { readonly code?: unknown }).code;
  // It is the port that somebody else has, or that only root may have; everything else is about the address.
  const field = `${section}.${code === "EADDRINUSE" || code === "EACCES" ? "port" : "host"}`;
  if (code === "EADDRINUSE") return new ExecutorError("ADDRESS_IN_USE", { host, port, field }, { cause });
  const reason = `cannot listen on ${host} port ${port}: ${String(code)}`;
  return new ExecutorError("CONFIG_INVALID", { field, reason }, { cause });
}

/** An address as part of a URL that is good on this host. */
export function urlHost(address: string): string {
  if (address === "0.0.0.0") return "127.0.0.1";
  if (address === "::") return "[::1]";
  return address.includes(":") ? `[${address}]` : address;
}

function listen(address: ListenAddress): Promise<Server> {
  const { host, port } = address;
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (cause) => reject(notListening(address, cause)));
    server.listen({ host, port }, () => resolve(server));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

import { isIP } from "node:net";
import type { FastifyReply, FastifyRequest } from "fastify";
import { ApiRefusal } from "./api-refusal.ts";

/**
 * Turns away a name that somebody else may have pointed at this host: a web page of that name could otherwise use the key that
 * everybody knows ("DNS rebinding").
 *
 * @throws {@link ApiRefusal} 403.
 */
export function checkHost({ headers }: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  if (!isOwnName(headers.host ?? "")) throw new ApiRefusal(403, "Unknown host name");
  done();
}

/** A name is somebody's to point anywhere; an address is not. */
export function isOwnName(host: string): boolean {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  if (name === "localhost") return true;
  return isIP(/^\[(.*)\]$/.exec(name)?.[1] ?? name) !== 0;
}

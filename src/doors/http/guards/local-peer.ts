import type { IncomingMessage } from "node:http";

/** What a proxy adds: then the peer is the proxy, and nobody knows from where the request came. */
const PROXY_HEADERS = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/** Whether a request was sent on this host itself, over loopback and by no proxy that says so. */
export function isFromHere({ socket, headers }: IncomingMessage): boolean {
  const { remoteAddress = "" } = socket;
  const isLoopback =
    remoteAddress === "::1" || remoteAddress.startsWith("127.") || remoteAddress.startsWith("::ffff:127.");
  return isLoopback && PROXY_HEADERS.every((name) => headers[name] === undefined);
}

import { createServer } from "node:net";
import { ExecutorError } from "../../core/index.ts";

/**
 * Finds out whether an address can be listened on, before anything else is done: a daemon that cannot have its address must
 * not touch what an earlier life left.
 *
 * @throws {@link ExecutorError} ADDRESS_IN_USE; CONFIG_INVALID for an address that cannot be listened on.
 */
export async function checkAddress(address: { readonly host: string; readonly port: number }): Promise<void> {
  const { host, port } = address;
  await new Promise<void>((resolve, reject) => {
    const server = createServer();
    server.once("error", (cause) => reject(notListening(address, cause)));
    server.listen({ host, port }, () => server.close(() => resolve()));
  });
}

/** Why an address cannot be had, by what the system said. */
export function notListening(
  { host, port }: { readonly host: string; readonly port: number },
  cause: unknown,
): ExecutorError {
  const code = (cause as { readonly code?: unknown }).code;
  if (code === "EADDRINUSE") return new ExecutorError("ADDRESS_IN_USE", { host, port }, { cause });
  const reason = `cannot listen on ${host} port ${port}: ${String(code)}`;
  return new ExecutorError("CONFIG_INVALID", { field: "http.host", reason }, { cause });
}

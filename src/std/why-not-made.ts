import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/**
 * Why a child without a process id could not be made. Where no more files can be opened it has no streams either; to be asked before
 * anything else is done with it, as an error that nobody listens for ends the daemon.
 */
export async function whyNotMade(child: ChildProcess): Promise<Error> {
  const [error] = (await once(child, "error")) as [Error];
  for (const stream of (child.stdio as ChildProcess["stdio"] | undefined) ?? []) stream?.destroy();
  return error;
}

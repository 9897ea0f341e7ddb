import type { Context } from "./command.ts";

/** Does what may go on for ever without printing anything, and ends with its reader (`hearth events | head -1`). */
export async function whileRead<T>({ io }: Context, work: () => Promise<T>): Promise<T> {
  const over = new AbortController();
  io.endWithReader(over.signal);
  try {
    return await work();
  } finally {
    over.abort();
  }
}

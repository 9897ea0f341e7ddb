import type { Log } from "../core/index.ts";

/** Drops everything; for parts that are used without a daemon. */
export const silentLog: Log = { log: () => undefined };

import type { Log } from "./core/index.ts";

/** gRPC's library names a server by its IP address in TLS too; nothing here can change that, and it does no harm. */
const HARMLESS: ReadonlySet<string> = new Set(["DEP0123"]);

/** What Node.js itself warns of goes to the log, as everything that the daemon says, until this is disposed. */
export function tellWarnings(log: Log): Disposable {
  const printers = process.listeners("warning");
  process.removeAllListeners("warning");
  const tell = (warning: Error & { readonly code?: string }): void => {
    const { name, message, code } = warning;
    const level = code !== undefined && HARMLESS.has(code) ? "debug" : "warn";
    log.log(level, "runtime.warned", { warning: `${name}: ${message}`, code });
  };
  process.on("warning", tell);
  return {
    [Symbol.dispose]() {
      process.off("warning", tell);
      for (const print of printers) process.on("warning", print);
    },
  };
}

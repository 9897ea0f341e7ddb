import type { LogRing, LogStream } from "./log-ring.ts";

/** What a task prints once it has started (`contracts/meca.md` section 4). */
export const READY_MARK = "meca-init-done";

export interface ReadyMark {
  /** Whether it has been printed, on either stream. */
  readonly isSeen: boolean;
  /** Resolves when it is printed; perhaps never. */
  readonly seen: Promise<void>;
  /** Stops looking. */
  close(): void;
}

/** Looks for the mark in what is printed from now on, also when it comes in pieces. */
export function watchForMark(ring: LogRing): ReadyMark {
  const ends: Record<LogStream, string> = { stdout: "", stderr: "" };
  let isSeen = false;
  let resolveSeen: () => void = () => undefined;
  const seen = new Promise<void>((resolve) => {
    resolveSeen = resolve;
  });
  const unlisten = ring.listen({
    onOutput(stream, bytes) {
      const text = ends[stream] + bytes.toString("latin1");
      ends[stream] = text.slice(1 - READY_MARK.length);
      if (!text.includes(READY_MARK)) return;
      isSeen = true;
      unlisten();
      resolveSeen();
    },
    onEnd: () => undefined,
  });
  return {
    get isSeen() {
      return isSeen;
    },
    seen,
    close: unlisten,
  };
}

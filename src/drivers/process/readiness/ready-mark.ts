import type { LogRing, LogStream } from "../output/log-ring.ts";

/** What a task prints once it has started (`contracts/meca.md` section 4). */
export const READY_MARK = "meca-init-done";

export interface ReadyMark {
  /** Whether it has been printed, on either stream. */
  readonly isSeen: boolean;
  /** Calls back once when it is printed, at once if it has been. */
  onSeen(callback: () => void): void;
  /** Stops looking. */
  close(): void;
}

/** Looks for the mark in what is printed from now on, also when it comes in pieces. */
export function watchForMark(ring: LogRing): ReadyMark {
  const ends: Record<LogStream, string> = { stdout: "", stderr: "" };
  let isSeen = false;
  let tell: () => void = () => undefined;
  const unlisten = ring.listen({
    onOutput(stream, bytes) {
      const text = ends[stream] + bytes.toString("latin1");
      ends[stream] = text.slice(1 - READY_MARK.length);
      if (!text.includes(READY_MARK)) return;
      isSeen = true;
      unlisten();
      tell();
    },
    onEnd: () => undefined,
  });
  return {
    get isSeen() {
      return isSeen;
    },
    onSeen(callback) {
      if (isSeen) callback();
      else tell = callback;
    },
    close: unlisten,
  };
}

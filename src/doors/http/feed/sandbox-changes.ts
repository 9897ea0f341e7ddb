import type { LiveSandbox } from "../../../contract/v1/events.ts";
import type { Sandbox } from "../../../contract/v1/sandboxes.ts";

/** A sandbox with points in time instead of ages. Whole tenths of a second: an age that is read twice must give one time. */
export function showLive({ ageMs, idleMs, ...rest }: Sandbox, nowMs: number): LiveSandbox {
  return {
    ...rest,
    createdAt: timeOf(nowMs - ageMs),
    ...(idleMs === undefined ? {} : { idleSince: timeOf(nowMs - idleMs) }),
  };
}

function timeOf(ms: number): string {
  return new Date(Math.round(ms / 100) * 100).toISOString();
}

/** What differs between two looks at the sandboxes. */
export class SandboxChanges {
  readonly #known = new Map<string, string>();

  clear(): void {
    this.#known.clear();
  }

  compare(all: readonly LiveSandbox[]): { changed: LiveSandbox[]; gone: string[] } {
    const ids = new Set(all.map(({ id }) => id));
    const gone = [...this.#known.keys()].filter((id) => !ids.has(id));
    for (const id of gone) this.#known.delete(id);
    const changed = all.filter((sandbox) => {
      const text = JSON.stringify(sandbox);
      if (this.#known.get(sandbox.id) === text) return false;
      this.#known.set(sandbox.id, text);
      return true;
    });
    return { changed, gone };
  }
}

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { HearthError } from "../../src/client/index.ts";
import { daemon } from "../state/daemon.ts";

const TAIL_BYTES = 65_536;
/** A task that prints without end must not fill the browser. */
const KEPT_CHARS = 400_000;
const SHOW_EVERY_MS = 120;

/** What a task prints, followed until it ends; with a filter for lines. */
export function Logs({ sandboxId }: { readonly sandboxId: string }): JSX.Element {
  const { text, end } = useOutput(sandboxId);
  const [filter, setFilter] = useState("");
  const [isFollowing, setFollowing] = useState(true);
  const box = useRef<HTMLPreElement>(null);
  const shown = useMemo(() => filtered(text, filter), [text, filter]);
  useEffect(() => {
    if (isFollowing && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [shown, isFollowing]);
  return (
    <>
      <div class="log-acts">
        <label>
          <span class="hidden">Only lines with</span>
          <input
            type="search"
            placeholder="Only lines with…"
            value={filter}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={isFollowing}
            onChange={(event) => setFollowing(event.currentTarget.checked)}
          />
          Follow
        </label>
        <a
          download={`${sandboxId}.log`}
          href={`data:text/plain;charset=utf-8,${encodeURIComponent(shown.slice(-100_000))}`}
        >
          Save
        </a>
      </div>
      <pre class="log" ref={box} tabIndex={0} role="log" aria-label="Output">
        {shown === "" ? <span class="empty">It has printed nothing yet.</span> : shown}
      </pre>
      <p class="hint">{end}</p>
    </>
  );
}

function useOutput(sandboxId: string): { readonly text: string; readonly end: string } {
  const [text, setText] = useState("");
  const [end, setEnd] = useState("Following.");
  useEffect(() => {
    const leaving = new AbortController();
    let all = "";
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = (): void => {
      timer = undefined;
      setText(all);
    };
    const follow = async (): Promise<void> => {
      const { signal } = leaving;
      for await (const { text: more } of daemon().followLogs(sandboxId, { tailBytes: TAIL_BYTES, signal })) {
        all = (all + more).slice(-KEPT_CHARS);
        timer ??= setTimeout(show, SHOW_EVERY_MS);
      }
    };
    follow()
      .then(() => setEnd("The task has ended; this is all it printed."))
      .catch((error: unknown) => {
        if (leaving.signal.aborted) return;
        setEnd(error instanceof HearthError ? error.message : "The connection broke off.");
      });
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [sandboxId]);
  return { text, end };
}

function filtered(text: string, filter: string): string {
  if (filter === "") return text;
  const wanted = filter.toLowerCase();
  return text
    .split("\n")
    .filter((line) => line.toLowerCase().includes(wanted))
    .join("\n");
}

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ConfigEntry } from "../../src/client/index.ts";
import { HearthError } from "../../src/client/index.ts";
import { daemon } from "../state/daemon.ts";
import { close, say } from "../state/dialogs.ts";
import { control } from "../state/live.ts";

/** What an operator changes from day to day; everything else is `hearth config`. */
const KEYS = [
  { key: "cpu", name: "Cores for tasks" },
  { key: "mem", name: "Memory for tasks" },
  { key: "timeout", name: "Idle time of a warm task" },
  { key: "tasks.queue", name: "Calls that may wait" },
  { key: "tasks.queue_timeout_s", name: "Longest wait" },
  { key: "tasks.run_timeout_s", name: "Longest call" },
] as const;

type Edits = Readonly<Record<string, string>>;

export function Limits(): JSX.Element {
  const [entries, setEntries] = useState<readonly ConfigEntry[]>([]);
  const [edits, setEdits] = useState<Edits>({});
  const [fault, setFault] = useState("");
  useEffect(() => read(setEntries, setFault), []);
  const { isAllowed, reason } = control.value;
  const isReady = isAllowed && Object.keys(edits).length > 0;
  const fields = KEYS.flatMap(({ key, name }) => {
    const entry = entries.find((one) => one.key === key);
    return entry === undefined ? [] : [{ name, entry }];
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady) apply(edits, setFault);
      }}
    >
      {fields.map(({ name, entry }) => (
        <Field
          key={entry.key}
          name={name}
          entry={entry}
          text={edits[entry.key] ?? String(entry.value)}
          isOff={!isAllowed}
          onText={(text) => setEdits({ ...edits, [entry.key]: text })}
        />
      ))}
      <p class={fault === "" ? "hint" : "hint bad"} role={fault === "" ? undefined : "alert"}>
        {fault || (isAllowed ? "All are applied, or none. They last until the daemon ends." : reason)}
      </p>
      <div class="acts">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="main" aria-disabled={!isReady}>
          Apply
        </button>
      </div>
    </form>
  );
}

interface FieldProps {
  readonly name: string;
  readonly entry: ConfigEntry;
  readonly text: string;
  readonly isOff: boolean;
  onText(text: string): void;
}

function Field({ name, entry, text, isOff, onText }: FieldProps): JSX.Element {
  return (
    <label title={entry.description}>
      {name}
      <span class="field">
        <input
          type="number"
          name={entry.key}
          step="any"
          min="0"
          required
          disabled={isOff}
          value={text}
          onInput={(event) => onText(event.currentTarget.value)}
        />
        <small>{entry.unit ?? ""}</small>
      </span>
    </label>
  );
}

/** @returns what ends the reading. */
function read(
  onEntries: (entries: readonly ConfigEntry[]) => void,
  onFault: (text: string) => void,
): () => void {
  const leaving = new AbortController();
  daemon()
    .config({ signal: leaving.signal })
    .then(({ settings }) => onEntries(settings))
    .catch((error: unknown) => {
      if (!leaving.signal.aborted) onFault(textOf(error));
    });
  return () => leaving.abort();
}

function apply(edits: Edits, onFault: (text: string) => void): void {
  const patch = Object.fromEntries(Object.entries(edits).map(([key, text]) => [key, Number(text)]));
  daemon()
    .setConfig(patch)
    .then(({ notes }) => {
      close();
      say(["The limits are in force.", ...notes].join(" "));
    })
    .catch((error: unknown) => onFault(textOf(error)));
}

function textOf(error: unknown): string {
  if (!(error instanceof HearthError)) return String(error);
  const { faults } = error.facts;
  return Array.isArray(faults) ? faults.join("; ") : error.message;
}

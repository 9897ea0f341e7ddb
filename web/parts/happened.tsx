import type { JSX } from "preact";
import type { HostEvent } from "../../src/client/index.ts";
import { clock } from "../format.ts";
import { dialog } from "../state/dialogs.ts";
import { events } from "../state/live.ts";
import { Card, Empty, Scroll } from "./card.tsx";

const SHOWN = 60;

/** What happened lately besides calls and starts, which have places of their own. */
export function Happened(): JSX.Element {
  const lines = events.value
    .map((event) => ({ id: event.id, at: event.at, text: lineOf(event), dead: deadOf(event) }))
    .filter(({ text }) => text !== "")
    .slice(-SHOWN)
    .reverse();
  return (
    <Card title="What happened" about="Changes of sandboxes, settings and states, the newest first.">
      {lines.length === 0 ? (
        <Empty>Nothing has happened yet.</Empty>
      ) : (
        <Scroll label="The last changes">
          <ol class="happened">
            {lines.map(({ id, at, text, dead }) => (
              <li key={id}>
                <time>{clock(at)}</time>
                <span>
                  {text} {dead !== undefined && <OutputOf dead={dead} />}
                </span>
              </li>
            ))}
          </ol>
        </Scroll>
      )}
    </Card>
  );
}

type Gone = Extract<HostEvent, { type: "sandbox" }>;

/** Ends after which the daemon keeps what the code printed last. */
const KEPT = new Set<string | undefined>(["died", "failed", "overdue"]);

function deadOf(event: HostEvent): Gone | undefined {
  return event.type === "sandbox" && event.to === "gone" && KEPT.has(event.cause) ? event : undefined;
}

function OutputOf({ dead }: { readonly dead: Gone }): JSX.Element {
  return (
    <button
      type="button"
      class="link"
      onClick={() => {
        dialog.value = { type: "logs", sandboxId: dead.sandboxId, title: dead.image };
      }}
    >
      What it printed last
    </button>
  );
}

const ENDS: Readonly<Record<string, string>> = {
  idle: "it was idle for its time",
  evicted: "its room was needed",
  outdated: "its image has moved",
  asked: "an operator asked",
  paused: "the executor paused",
  drained: "the daemon stops",
  overdue: "a call ran out of time",
  cancelled: "a call on it was cancelled",
  died: "its code ended by itself",
  failed: "it never became ready, or would not freeze or wake",
};

function lineOf(event: HostEvent): string {
  switch (event.type) {
    case "sandbox":
      return sandboxLine(event);
    case "waiting":
      return event.callers === 0 ? "" : `${event.image} waits: ${event.reason}`;
    case "executor":
      return `The executor is ${event.state}`;
    case "config":
      return `Settings: ${event.changed.map(({ key, after }) => `${key} is now ${String(after)}`).join(", ")}`;
    case "engine":
      return event.isHealthy ? "The engine answers again" : `The engine does not answer: ${event.detail}`;
    case "offer":
      return `Classes that can be used: ${event.host.isolation.join(", ") || "none"}`;
    case "gap":
      return event.reason === "overrun" ? "Some events were lost on the way" : "The daemon was started anew";
    case "jobEnded":
      return jobLine(event);
    case "job":
    case "start":
    case "calls":
    case "callFailed":
    case "callsFailed":
      return "";
  }
}

const JOB_ENDS: Readonly<Record<Extract<HostEvent, { type: "jobEnded" }>["cause"], string>> = {
  done: "is done",
  exit: "ended with an error",
  signal: "was ended by a signal",
  memory: "used more memory than it has",
  disk: "wrote more to disk than it may",
  time: "ran out of time",
  killed: "was killed",
  drain: "was ended: the daemon stops",
  lease: "was ended: another host may have it",
  lost: "was lost",
  unstarted: "could not be started",
  unused: "was given back",
};

function jobLine({ jobId, serves, cause, problem }: Extract<HostEvent, { type: "jobEnded" }>): string {
  const why = problem === undefined || cause === "done" ? "" : `: ${problem.detail}`;
  const name = serves === undefined ? `Job ${jobId}` : `${serves} (${jobId})`;
  return `${name} ${JOB_ENDS[cause]}${why}`;
}

function sandboxLine({ image, to, cause, from }: Extract<HostEvent, { type: "sandbox" }>): string {
  if (to === "gone") return `${image} is gone${cause === undefined ? "" : `: ${ENDS[cause] ?? cause}`}`;
  if (to === "frozen") return `${image} was frozen: idle, its cores were wanted`;
  if (to === "hot" && from === "thawing") return `${image} was woken`;
  if (to === "hot" && from === undefined) return `${image} was taken over from an earlier life`;
  return to === "hot" && from === "starting" ? `${image} is ready` : "";
}

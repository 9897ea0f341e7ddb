import type { JSX } from "preact";
import type { Host } from "../../src/client/index.ts";
import { askPause, askUnpause } from "../actions.ts";
import { clock } from "../format.ts";
import { token } from "../state/daemon.ts";
import { dialog } from "../state/dialogs.ts";
import { access, control, engine, host, link } from "../state/live.ts";
import { nextTheme, theme } from "../state/theme.ts";
import type { GlyphName } from "./glyphs.tsx";
import { Flame, Glyph } from "./glyphs.tsx";

export function Head(): JSX.Element {
  const state = host.value?.state;
  const isStill = state === "paused" || state === "pausing";
  return (
    <header class="head">
      <div class="brand">
        <Flame />
        <h1>Hearth</h1>
        <span class="where">
          {location.host}
          {host.value === undefined ? "" : ` · ${host.value.driver}`}
        </span>
      </div>
      <Status />
      <div class="acts">
        <Act
          label={isStill ? "Unpause" : "Pause"}
          isOff={state === "draining"}
          onAct={isStill ? askUnpause : askPause}
        />
        <Act
          label="Limits"
          onAct={() => {
            dialog.value = { type: "limits" };
          }}
        />
        {(access.value?.wantsToken === true || token.value !== "") && (
          <button
            type="button"
            onClick={() => {
              dialog.value = { type: "token" };
            }}
          >
            Token
          </button>
        )}
        <button type="button" class="plain" onClick={nextTheme} title={`Colours: ${theme.value}`}>
          <Glyph name={theme.value === "system" ? "auto" : theme.value === "dark" ? "moon" : "sun"} />
          <span class="hidden">Colours: {theme.value}</span>
        </button>
      </div>
    </header>
  );
}

function Act({
  label,
  isOff = false,
  onAct,
}: {
  readonly label: string;
  readonly isOff?: boolean;
  onAct(): void;
}): JSX.Element {
  const { isAllowed, reason } = control.value;
  const isDisabled = !isAllowed || isOff;
  return (
    <button
      type="button"
      aria-disabled={isDisabled}
      title={isAllowed ? "" : reason}
      onClick={() => {
        if (!isDisabled) onAct();
      }}
    >
      {label}
    </button>
  );
}

interface Told {
  readonly tone: "good" | "warn" | "bad" | "quiet";
  readonly word: string;
  readonly text: string;
}

const SIGNS: Readonly<Record<Told["tone"], GlyphName>> = {
  good: "dot",
  warn: "bars",
  bad: "cross",
  quiet: "ring",
};

/** One line that is always there, so that nothing moves when it changes. */
function Status(): JSX.Element {
  const { tone, word, text } = told();
  return (
    <p class={`status ${tone}`} role="status">
      <Glyph name={SIGNS[tone]} />
      <b>{word}</b> <span title={text}>{text}</span>
    </p>
  );
}

function told(): Told {
  return ofLink() ?? ofEngine() ?? ofState();
}

function ofLink(): Told | undefined {
  const now = link.value;
  switch (now.type) {
    case "open":
      return undefined;
    case "connecting":
      return { tone: "quiet", word: "Connecting", text: "to the daemon." };
    case "starting":
      return {
        tone: "quiet",
        word: "Starting",
        text: "The daemon is not ready yet; what is shown is as it last was.",
      };
    case "stopping":
      return {
        tone: "warn",
        word: "Stopping",
        text: "The daemon takes no calls any more, and ends; what is shown is as it last was.",
      };
    case "hidden":
      return { tone: "quiet", word: "Resting", text: "while this page is not seen." };
    case "refused":
      return { tone: "bad", word: "Not let in", text: now.reason };
    case "lost":
      return {
        tone: "bad",
        word: "Daemon gone",
        text: `No answer since ${clock(now.sinceMs)}. What is shown is as it last was; trying again.`,
      };
  }
}

function ofEngine(): Told | undefined {
  if (engine.value.isHealthy) return undefined;
  return { tone: "bad", word: "Engine gone", text: `No new tasks can start: ${engine.value.detail}` };
}

function ofState(): Told {
  const view = host.value;
  switch (view?.state) {
    case "pausing":
      return {
        tone: "warn",
        word: "Pausing",
        text: `Takes no calls; ${calls(view.running)} still under way.`,
      };
    case "paused":
      return { tone: "warn", word: "Paused", text: "Takes no calls." };
    case "draining":
      return {
        tone: "warn",
        word: "Draining",
        text: `Takes no calls, and stops; ${calls(view.running)} still under way.`,
      };
    default:
      return {
        tone: "good",
        word: "Running",
        text:
          view === undefined ? "" : `${work(view.running, view.jobs.running)} under way, ${waiting(view)}.`,
      };
  }
}

function calls(count: number): string {
  return counted(count, "call");
}

/** Jobs are named where there are any. */
function work(callCount: number, jobCount: number): string {
  return jobCount === 0 ? calls(callCount) : `${calls(callCount)} and ${counted(jobCount, "job")}`;
}

function waiting({ waiting: callCount, jobs }: Host): string {
  return callCount + jobs.waiting === 0 ? "none waiting" : `${work(callCount, jobs.waiting)} waiting`;
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

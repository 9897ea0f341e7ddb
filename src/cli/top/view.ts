import type { LiveSandbox } from "../../client/index.ts";
import { assertNever } from "../../core/index.ts";
import type { Paint } from "./draw.ts";
import { eventLines, headLines, jobLines, taskLines, waitingLines } from "./draw.ts";
import type { Key } from "./keys.ts";
import type { Sort } from "./sort.ts";
import { listed, SORTS } from "./sort.ts";
import type { TopState } from "./state.ts";

/** What somebody wants done to the daemon. */
export type Action =
  | { readonly type: "pause" }
  | { readonly type: "unpause" }
  | { readonly type: "evict"; readonly sandboxId: string }
  | { readonly type: "logs"; readonly sandboxId: string };

/** What the screen is showing besides the host itself. */
export interface View {
  readonly sort: Sort;
  readonly filter: string;
  /** The sandbox that keys act on. */
  readonly selected: string | undefined;
  readonly mode:
    | { readonly type: "list" }
    | { readonly type: "help" }
    | { readonly type: "filter" }
    /** A question; `y` does it. */
    | { readonly type: "ask"; readonly question: string; readonly action: Action }
    | { readonly type: "pane"; readonly title: string; readonly lines: readonly string[] };
  /** The outcome of the last action, until the next key. */
  readonly message: string;
  /** Why there is no live connection, if there is none. */
  readonly trouble: string | undefined;
}

export const FIRST_VIEW: View = {
  sort: "calls",
  filter: "",
  selected: undefined,
  mode: { type: "list" },
  message: "",
  trouble: undefined,
};

export type Step =
  | { readonly type: "show"; readonly view: View }
  | { readonly type: "do"; readonly view: View; readonly action: Action }
  | { readonly type: "leave" };

/** Warm tasks need their room as well. */
const MOST_JOBS = 8;
const MOST_WAITING = 6;
/** Of the list of warm tasks, on the smallest screen. */
const LEAST_BODY = 3;

const LIST = { type: "list" } as const;

/** What a key comes to. */
export function afterKey(view: View, key: Key, state: TopState | undefined): Step {
  if (key.type === "end") return { type: "leave" };
  const calm = { ...view, message: "" };
  switch (view.mode.type) {
    case "list":
      return inList(calm, key, state);
    case "filter":
      return inFilter(calm, key);
    case "ask":
      if (key.type === "text" && key.text.toLowerCase() === "y") {
        return { type: "do", view: { ...calm, mode: LIST }, action: view.mode.action };
      }
      return show({ ...calm, mode: LIST });
    case "help":
    case "pane":
      return show({ ...calm, mode: LIST });
    default:
      return assertNever(view.mode);
  }
}

function show(view: View): Step {
  return { type: "show", view };
}

function inFilter(view: View, key: Key): Step {
  if (key.type === "enter") return show({ ...view, mode: LIST });
  if (key.type === "escape") return show({ ...view, filter: "", mode: LIST });
  if (key.type === "erase") return show({ ...view, filter: view.filter.slice(0, -1) });
  return show(key.type === "text" ? { ...view, filter: view.filter + key.text } : view);
}

function inList(view: View, key: Key, state: TopState | undefined): Step {
  const rows = state === undefined ? [] : listed(state.sandboxes.values(), view);
  const at = rows.findIndex(({ id }) => id === view.selected);
  if (key.type === "down") return show(select(view, rows, Math.min(rows.length - 1, at + 1)));
  if (key.type === "up") return show(select(view, rows, Math.max(0, at - 1)));
  if (key.type === "enter") return describe(view, rows[at], state);
  if (key.type === "escape") return show({ ...view, selected: undefined, filter: "" });
  return key.type === "text" ? command(view, key.text, rows[at], state) : show(view);
}

function select(view: View, rows: readonly LiveSandbox[], at: number): View {
  return { ...view, selected: rows[at]?.id };
}

function command(
  view: View,
  text: string,
  chosen: LiveSandbox | undefined,
  state: TopState | undefined,
): Step {
  switch (text) {
    case "q":
      return { type: "leave" };
    case "?":
    case "h":
      return show({ ...view, mode: { type: "help" } });
    case "/":
      return show({ ...view, mode: { type: "filter" } });
    case "s":
      return show({ ...view, sort: SORTS[(SORTS.indexOf(view.sort) + 1) % SORTS.length] ?? view.sort });
    case "p":
      return show(askPause(view, state));
    case "x":
      return show(askEvict(view, chosen));
    case "l":
      if (chosen === undefined) return show({ ...view, message: "choose a task first: up and down" });
      return { type: "do", view, action: { type: "logs", sandboxId: chosen.id } };
    default:
      return show(view);
  }
}

function askPause(view: View, state: TopState | undefined): View {
  if (state === undefined) return view;
  const isRunning = state.host.state === "running";
  const action: Action = { type: isRunning ? "pause" : "unpause" };
  const question = isRunning ? "pause: take no more calls, remove warm tasks?" : "take calls again?";
  return { ...view, mode: { type: "ask", question, action } };
}

function askEvict(view: View, chosen: LiveSandbox | undefined): View {
  if (chosen === undefined) return { ...view, message: "choose a task first: up and down" };
  const action: Action = { type: "evict", sandboxId: chosen.id };
  return { ...view, mode: { type: "ask", question: `remove ${chosen.image} (${chosen.id})?`, action } };
}

function describe(view: View, chosen: LiveSandbox | undefined, state: TopState | undefined): Step {
  if (chosen === undefined || state === undefined) return show(view);
  const { phases } = chosen;
  const lines = [
    `task       ${chosen.image}`,
    `container  ${chosen.label}`,
    `content    ${chosen.imageDigest ?? "-"}`,
    `class      ${chosen.isolation ?? "-"}${chosen.sgx ? ", SGX" : ""}`,
    `gpus       ${chosen.gpuIds.length === 0 ? "-" : chosen.gpuIds.join(", ")}`,
    `sessions   ${chosen.sessions}`,
    `start      ${phases === undefined ? "-" : `create ${phases.createMs.toFixed(0)} ms, start ${phases.startMs.toFixed(0)} ms, ready ${phases.readyMs.toFixed(0)} ms`}`,
    ...chosen.warnings.map((warning) => `remark     ${warning}`),
  ];
  return show({ ...view, mode: { type: "pane", title: chosen.id, lines } });
}

const HELP = [
  "up, down   choose a task            enter  more about it",
  "s          order by the next thing  /      show only tasks that match",
  "l          what it printed last     x      remove it (asks)",
  "p          pause or unpause (asks)  q      leave",
];

/** The whole screen. */
export function screenLines(
  state: TopState | undefined,
  view: View,
  size: { readonly rows: number; readonly columns: number },
  paint: Paint,
): readonly string[] {
  const foot = footLine(view, paint);
  if (state === undefined) return [paint("bold", "hearth"), "", view.trouble ?? "connecting ...", foot];
  const head = [
    ...(view.trouble === undefined ? [] : [paint("red", view.trouble)]),
    ...headLines(state, paint),
    ...waitingLines(state.waiting, MOST_WAITING).map((line) => paint("yellow", `waits   ${line}`)),
    ...jobLines(state.jobs, MOST_JOBS).map((line) => `job     ${line}`),
  ]
    // The last line is where questions are asked: it stays on the screen, however many cards a host has.
    .slice(0, Math.max(1, size.rows - LEAST_BODY - 2))
    .concat("");
  const room = Math.max(LEAST_BODY, size.rows - head.length - 1);
  const body = bodyLines(state, view, { rows: room, columns: size.columns }, paint);
  const blank = Array.from({ length: Math.max(0, room - body.length) }, () => "");
  return [...head, ...body, ...blank, foot];
}

const MARK = "> ";

function bodyLines(
  state: TopState,
  view: View,
  { rows: room, columns }: { readonly rows: number; readonly columns: number },
  paint: Paint,
): readonly string[] {
  if (view.mode.type === "help") return HELP.slice(0, room);
  if (view.mode.type === "pane") return [paint("bold", view.mode.title), ...view.mode.lines.slice(1 - room)];
  const sandboxes = listed(state.sandboxes.values(), view);
  const { head, rows } = taskLines(sandboxes, state.atMs, columns - MARK.length);
  const events = eventLines(state, Math.max(0, Math.min(6, room - rows.length - 3)));
  const most = Math.max(1, room - 1 - (events.length === 0 ? 0 : events.length + 1));
  const at = sandboxes.findIndex(({ id }) => id === view.selected);
  const first = Math.max(0, Math.min(at - most + 1, rows.length - most));
  const shown = rows
    .slice(first, first + most)
    // Marked by a sign as well: not every terminal shows colours.
    .map((row, offset) => (first + offset === at ? paint("inverse", `${MARK}${row}`) : `  ${row}`));
  const empty = view.filter === "" ? "no warm task" : `no warm task matches "${view.filter}"`;
  return [
    paint("bold", `  ${head}`),
    ...(rows.length === 0 ? [paint("dim", empty)] : shown),
    ...(events.length === 0 ? [] : ["", ...events.map((line) => paint("dim", line))]),
  ];
}

function footLine(view: View, paint: Paint): string {
  const { mode, message, filter, sort } = view;
  if (mode.type === "ask") return paint("yellow", `${mode.question} y/n`);
  if (mode.type === "filter") return `/${filter}`;
  if (message !== "") return message;
  if (mode.type !== "list") return paint("dim", "any key goes back");
  const only = filter === "" ? "" : `  only "${filter}"`;
  return paint("dim", `by ${sort}${only}   ? help   q leave`);
}

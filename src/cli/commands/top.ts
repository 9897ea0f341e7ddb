import type { HearthClient } from "../../client/index.ts";
import { HearthError } from "../../client/index.ts";
import type { EitherSignal } from "../../std/index.ts";
import { eitherSignal, sleep } from "../../std/index.ts";
import type { Command, Context } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson, visible } from "../print.ts";
import { headLines, jobLines, taskLines, waitingLines } from "../top/draw.ts";
import { keysOf } from "../top/keys.ts";
import type { Terminal } from "../top/screen.ts";
import { Screen } from "../top/screen.ts";
import { listed } from "../top/sort.ts";
import type { TopState } from "../top/state.ts";
import { afterMessage } from "../top/state.ts";
import type { Action, View } from "../top/view.ts";
import { afterKey, FIRST_VIEW, screenLines } from "../top/view.ts";

const RETRY_MS = 1000;
const LOG_BYTES = 16_384;

export const top: Command = {
  name: "top",
  summary: "watch the host live: gauges, warm tasks, what waits and why",
  details:
    "On a terminal it goes on until q, and ? shows its keys. Anywhere else, or with --once, it prints the host as it is and ends.",
  options: [{ flags: "--once", about: "print once and end, on a terminal too" }],
  examples: ["hearth top", "hearth top --once", "hearth top --json"],
  async run(context, { options }) {
    const terminal = context.isJson || options["once"] === true ? undefined : context.io.terminal();
    return terminal === undefined ? await once(context) : await watch(context, terminal);
  },
};

/** Two messages: a snapshot, and the sample after it, which knows how many calls there were meanwhile. */
async function once({ io, isJson, connect, signal }: Context): Promise<number> {
  let state: TopState | undefined;
  for await (const message of connect().live({ signal })) {
    const isFirst = state === undefined;
    state = afterMessage(state, message);
    if (!isFirst) break;
  }
  if (state === undefined) return EXIT.no.code;
  const sandboxes = listed(state.sandboxes.values(), FIRST_VIEW);
  if (isJson) {
    const { host, engine, waiting, jobs, latency, callsPerSecond } = state;
    await printJson(io, {
      host,
      engine,
      waiting,
      jobs,
      sandboxes,
      callsPerSecond: callsPerSecond.at(-1) ?? 0,
      ...(latency === undefined ? {} : { latency }),
    });
    return EXIT.done.code;
  }
  const { head, rows } = taskLines(sandboxes, state.atMs);
  const paint = io.style;
  const lines = [
    ...headLines(state, paint),
    ...waitingLines(state.waiting, state.waiting.length).map((line) => `waits   ${line}`),
    ...jobLines(state.jobs, state.jobs.length).map((line) => `job     ${line}`),
    ...(rows.length === 0 ? [] : ["", paint("bold", head), ...rows]),
  ];
  await io.out(`${lines.map((line) => line.trimEnd()).join("\n")}\n`);
  return EXIT.done.code;
}

async function watch(context: Context, terminal: Terminal): Promise<number> {
  const watching = new Watching(context, terminal);
  try {
    return await watching.run();
  } finally {
    watching[Symbol.dispose]();
  }
}

/** A screen that follows the daemon and its keys, until somebody leaves. */
class Watching implements Disposable {
  readonly #context: Context;
  readonly #client: HearthClient;
  readonly #terminal: Terminal;
  readonly #screen: Screen;
  readonly #left = new AbortController();
  readonly #over: EitherSignal;
  readonly #stop: readonly (() => void)[];
  #state: TopState | undefined;
  #view: View = FIRST_VIEW;

  constructor(context: Context, terminal: Terminal) {
    this.#context = context;
    this.#client = context.connect();
    this.#terminal = terminal;
    this.#over = eitherSignal(context.signal, this.#left.signal);
    this.#screen = new Screen(terminal);
    this.#stop = [
      terminal.onInput((chunk) => this.#typed(chunk)),
      terminal.onResize(() => {
        this.#screen.clear();
        this.#draw();
      }),
    ];
    this.#draw();
  }

  async run(): Promise<number> {
    while (!this.#over.signal.aborted) {
      await this.#follow();
      await sleep(RETRY_MS, this.#over.signal).catch(() => undefined);
    }
    // A signal from outside ends every command in the same way.
    if (!this.#left.signal.aborted) throw this.#context.signal.reason;
    return EXIT.done.code;
  }

  [Symbol.dispose](): void {
    for (const stop of this.#stop) stop();
    this.#over[Symbol.dispose]();
    this.#screen[Symbol.dispose]();
  }

  /** Until the daemon goes away; what will be refused another time as well, as a wrong token, is no reason to go on trying. */
  async #follow(): Promise<void> {
    try {
      for await (const message of this.#client.live({ signal: this.#over.signal })) {
        this.#state = afterMessage(this.#state, message);
        this.#view = { ...this.#view, trouble: undefined };
        this.#draw();
      }
    } catch (error) {
      if (this.#over.signal.aborted) return;
      if (error instanceof HearthError && error.retry === "never") throw error;
    }
    const trouble = "the daemon does not answer; what is shown is what it said last";
    this.#view = { ...this.#view, trouble };
    this.#draw();
  }

  #typed(chunk: string): void {
    for (const key of keysOf(chunk)) {
      const step = afterKey(this.#view, key, this.#state);
      if (step.type === "leave") {
        this.#left.abort();
        return;
      }
      this.#view = step.view;
      if (step.type === "do") this.#perform(step.action).catch((error: unknown) => this.#say(error));
    }
    this.#draw();
  }

  async #perform(action: Action): Promise<void> {
    const options = { signal: this.#over.signal };
    if (action.type === "evict") await this.#client.evict(action.sandboxId, options);
    else if (action.type === "unpause") await this.#client.unpause(options);
    else if (action.type === "pause") {
      this.#tell("pausing ...");
      const { running } = await this.#client.pause(options);
      this.#tell(running === 0 ? "paused" : `paused; ${running} calls still run`);
      return;
    } else {
      const { text } = await this.#client.logs(action.sandboxId, { tailBytes: LOG_BYTES, ...options });
      const lines = text === "" ? ["it has printed nothing"] : text.trimEnd().split("\n").map(visible);
      this.#view = { ...this.#view, mode: { type: "pane", title: action.sandboxId, lines } };
      this.#draw();
      return;
    }
    this.#tell("done");
  }

  #say(error: unknown): void {
    if (!this.#over.signal.aborted)
      this.#tell(error instanceof Error ? visible(error.message) : String(error));
  }

  #tell(message: string): void {
    this.#view = { ...this.#view, message };
    this.#draw();
  }

  #draw(): void {
    this.#screen.show(screenLines(this.#state, this.#view, this.#terminal, this.#context.io.style));
  }
}

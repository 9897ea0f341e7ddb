import type { JSX } from "preact";
import type { Run } from "../../src/client/index.ts";
import { bytes, clock, duration, shortId } from "../format.ts";
import { dialog } from "../state/dialogs.ts";
import type { LastCall } from "../state/live.ts";
import { lastCalls } from "../state/live.ts";
import { runs } from "../state/runs.ts";
import { Card, Empty, Scroll, TableHead } from "./card.tsx";
import type { GlyphName } from "./glyphs.tsx";
import { Glyph } from "./glyphs.tsx";

const SIGNS: Readonly<Record<Run["state"], GlyphName>> = {
  running: "half",
  answered: "dot",
  failed: "cross",
  cancelled: "ring",
  lost: "square",
};

/** One line of the table, wherever it comes from. */
interface Line {
  readonly id: string;
  readonly at: string;
  readonly image: string;
  readonly state: Run["state"];
  readonly how: string;
  readonly why: string;
  readonly start: string;
  readonly waitedMs: number | undefined;
  readonly tookMs: number | undefined;
  readonly cpuMs: number | undefined;
  readonly memoryBytes: number | undefined;
  /** What there is to look at; nothing for a call that is only known from the last second's. */
  readonly run: Run | undefined;
}

/** The last runs with their receipts; those of the last seconds first by what their second told of them. */
export function Runs(): JSX.Element {
  const lines = merged();
  return (
    <Card
      title="Runs"
      about="The last runs, the newest first: how each ended, what it waited for and what it used."
    >
      {lines.length === 0 ? (
        <Empty>No call has ended yet.</Empty>
      ) : (
        <Scroll label="The last runs">
          <table>
            <TableHead names={HEADS} figures={FIGURES} />
            <tbody>
              {lines.map((line) => (
                <Row key={line.id} line={line} />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </Card>
  );
}

const HEADS = ["Run", "Ended", "Image", "Outcome", "Start", "Waited", "Took", "CPU", "Memory"] as const;
const FIGURES: ReadonlySet<string> = new Set(["Waited", "Took", "CPU", "Memory"]);
const SHOWN = 12;

function merged(): readonly Line[] {
  const lines = new Map<string, Line>();
  for (const call of lastCalls.value)
    if (call.runId !== undefined) lines.set(call.runId, ofCall(call, call.runId));
  // What is recorded says more.
  for (const run of runs.value ?? []) lines.set(run.id, ofRun(run));
  return [...lines.values()].sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, SHOWN);
}

const UNKNOWN = { cpuMs: undefined, memoryBytes: undefined, run: undefined };

function ofCall({ at, image, end, status, start, waitedMs, tookMs }: LastCall, id: string): Line {
  const how = status === undefined ? "" : String(status);
  return { id, at, image, state: end, how, why: "", start: start ?? "–", waitedMs, tookMs, ...UNKNOWN };
}

function ofRun(run: Run): Line {
  const { id, state, image, createdAt, endedAt, placement, problem, answer } = run;
  return {
    id,
    at: endedAt ?? createdAt,
    image,
    state,
    how: problem?.code ?? (answer === undefined ? "" : String(answer.status)),
    why: problem?.detail ?? "",
    start: placement?.start ?? "–",
    waitedMs: placement?.waitedMs,
    tookMs: tookOf(run),
    ...usedBy(run),
    run,
  };
}

function usedBy({ receipt }: Run): Pick<Line, "cpuMs" | "memoryBytes"> {
  const { cpuUs, memoryPeakBytes } = receipt?.used ?? {};
  return { cpuMs: cpuUs === undefined ? undefined : cpuUs / 1000, memoryBytes: memoryPeakBytes };
}

function tookOf({ createdAt, endedAt, receipt }: Run): number | undefined {
  if (receipt !== undefined) return receipt.wallUs / 1000;
  return endedAt === undefined ? undefined : Date.parse(endedAt) - Date.parse(createdAt);
}

function Row({ line }: { readonly line: Line }): JSX.Element {
  const { at, image, state, how, why, start, waitedMs, tookMs, cpuMs, memoryBytes } = line;
  return (
    <tr>
      <th scope="row">
        <Name line={line} />
      </th>
      <td data-label="Ended">
        <time>{clock(at)}</time>
      </td>
      <td data-label="Image" class="long">
        <span class="name">{image}</span>
      </td>
      <td data-label="Outcome" class="long">
        <span class={`tier ${state}`} title={why}>
          <Glyph name={SIGNS[state]} /> {state} {how}
        </span>
      </td>
      <td data-label="Start">{start}</td>
      <Figure label="Waited" value={waitedMs} print={duration} />
      <Figure label="Took" value={tookMs} print={duration} />
      <Figure label="CPU" value={cpuMs} print={duration} />
      <Figure label="Memory" value={memoryBytes} print={bytes} />
    </tr>
  );
}

/** Opens the run, if there is more to say of it. */
function Name({ line: { id, run } }: { readonly line: Line }): JSX.Element {
  const short = <code title={id}>{shortId(id)}</code>;
  if (run === undefined) return short;
  return (
    <button
      type="button"
      class="link"
      aria-label={`Receipt of run ${shortId(id)}`}
      onClick={() => {
        dialog.value = { type: "run", run };
      }}
    >
      {short}
    </button>
  );
}

function Figure({
  label,
  value,
  print,
}: {
  readonly label: string;
  readonly value: number | undefined;
  print(value: number): string;
}): JSX.Element {
  return (
    <td data-label={label} class="num">
      {value === undefined ? "–" : print(value)}
    </td>
  );
}

import type { JSX } from "preact";
import type { Run } from "../../src/client/index.ts";
import { clock, duration, shortId } from "../format.ts";
import type { LastCall } from "../state/live.ts";
import { lastCalls } from "../state/live.ts";
import { runs } from "../state/runs.ts";
import { Card, Empty, Scroll } from "./card.tsx";
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
}

/** The last recorded runs and, between them, a few of each second's calls. */
export function Runs(): JSX.Element {
  const lines = merged();
  return (
    <Card title="Runs" about="The last recorded runs and a few of each second's calls, the newest first.">
      {lines.length === 0 ? (
        <Empty>No call has ended since this page was opened, and no run is recorded.</Empty>
      ) : (
        <Scroll label="The last runs">
          <table>
            <thead>
              <tr>
                {["Run", "Ended", "Image", "Outcome", "Start", "Waited", "Took"].map((name) => (
                  <th key={name} scope="col" class={name === "Waited" || name === "Took" ? "num" : ""}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
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

const SHOWN = 12;

function merged(): readonly Line[] {
  const lines = new Map<string, Line>();
  for (const call of lastCalls.value)
    if (call.runId !== undefined) lines.set(call.runId, ofCall(call, call.runId));
  // What is recorded says more.
  for (const run of runs.value ?? []) lines.set(run.id, ofRun(run));
  return [...lines.values()].sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, SHOWN);
}

function ofCall({ at, image, end, status, start, waitedMs, tookMs }: LastCall, id: string): Line {
  const how = status === undefined ? "" : String(status);
  return { id, at, image, state: end, how, why: "", start: start ?? "–", waitedMs, tookMs };
}

function ofRun({ id, state, image, createdAt, endedAt, placement, problem, answer }: Run): Line {
  return {
    id,
    at: endedAt ?? createdAt,
    image,
    state,
    how: problem?.code ?? (answer === undefined ? "" : String(answer.status)),
    why: problem?.detail ?? "",
    start: placement?.start ?? "–",
    waitedMs: placement?.waitedMs,
    tookMs: endedAt === undefined ? undefined : Date.parse(endedAt) - Date.parse(createdAt),
  };
}

function Row({ line }: { readonly line: Line }): JSX.Element {
  const { id, at, image, state, how, why, start, waitedMs, tookMs } = line;
  return (
    <tr>
      <th scope="row">
        <code title={id}>{shortId(id)}</code>
      </th>
      <td data-label="Ended">
        <time>{clock(at)}</time>
      </td>
      <td data-label="Image">
        <span class="name">{image}</span>
      </td>
      <td data-label="Outcome">
        <span class={`tier ${state}`} title={why}>
          <Glyph name={SIGNS[state]} /> {state} {how}
        </span>
      </td>
      <td data-label="Start">{start}</td>
      <td data-label="Waited" class="num">
        {waitedMs === undefined ? "–" : duration(waitedMs)}
      </td>
      <td data-label="Took" class="num">
        {tookMs === undefined ? "–" : duration(tookMs)}
      </td>
    </tr>
  );
}

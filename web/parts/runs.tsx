import type { JSX } from "preact";
import type { Run } from "../../src/client/index.ts";
import { clock, duration, shortId } from "../format.ts";
import { runs } from "../state/runs.ts";
import { Card, Empty } from "./card.tsx";
import type { GlyphName } from "./glyphs.tsx";
import { Glyph } from "./glyphs.tsx";

const SIGNS: Readonly<Record<Run["state"], GlyphName>> = {
  running: "half",
  answered: "dot",
  failed: "cross",
  cancelled: "ring",
  lost: "square",
};

/** The last recorded runs, with what their receipts say. */
export function Runs(): JSX.Element {
  const all = runs.value ?? [];
  return (
    <Card title="Runs" about="The last recorded runs, the newest first, with what their receipts say.">
      {all.length === 0 ? (
        <Empty>No run is recorded yet.</Empty>
      ) : (
        <table>
          <thead>
            <tr>
              {["Run", "Image", "Ended as", "Class", "Start", "Waited", "Took"].map((name) => (
                <th key={name} scope="col" class={name === "Waited" || name === "Took" ? "num" : ""}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {all.map((run) => (
              <Row key={run.id} run={run} />
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function Row({ run }: { readonly run: Run }): JSX.Element {
  const { id, state, image, createdAt, endedAt, placement, problem, answer } = run;
  const how = problem?.code ?? (answer === undefined ? "" : String(answer.status));
  return (
    <tr>
      <th scope="row">
        <code title={id}>{shortId(id)}</code> <small>{clock(createdAt)}</small>
      </th>
      <td data-label="Image">
        <span class="name">{image}</span>
      </td>
      <td data-label="Ended as">
        <span class={`tier ${state}`} title={problem?.detail}>
          <Glyph name={SIGNS[state]} /> {state} {how}
        </span>
      </td>
      <td data-label="Class">{placement?.isolation ?? "–"}</td>
      <td data-label="Start">{placement?.start ?? "–"}</td>
      <td data-label="Waited" class="num">
        {placement === undefined ? "–" : duration(placement.waitedMs)}
      </td>
      <td data-label="Took" class="num">
        {endedAt === undefined ? "–" : duration(Date.parse(endedAt) - Date.parse(createdAt))}
      </td>
    </tr>
  );
}

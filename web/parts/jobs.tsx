import type { JSX } from "preact";
import type { Job } from "../../src/client/index.ts";
import { age, bytes, cores } from "../format.ts";
import { jobs } from "../state/live.ts";
import { Card, Empty, Scroll, TableHead } from "./card.tsx";
import type { GlyphName } from "./glyphs.tsx";
import { Glyph } from "./glyphs.tsx";

const SHOWN = 50;
const HEADS = ["Job", "Task", "State", "Door", "Class", "Cores", "Memory", "Ran"] as const;
const FIGURES: ReadonlySet<string> = new Set(["Cores", "Memory", "Ran"]);
const SIGNS: Readonly<Record<Job["state"], GlyphName>> = {
  reserved: "half",
  starting: "half",
  running: "dot",
  stopping: "square",
  settling: "half",
  removing: "square",
  leftover: "ring",
};

/** Jobs and workers that hold room, whichever door they came through; those that wait are on the card of what waits. */
export function Jobs(): JSX.Element | null {
  const all = jobs.value;
  if (all.length === 0) return null;
  return (
    <Card
      title="Jobs"
      about="Commands that run to their end, and workers that serve until they are ended."
      aside={all.length.toLocaleString("en")}
    >
      <Scroll label="Jobs that hold room">
        <table>
          <TableHead names={HEADS} figures={FIGURES} />
          <tbody>
            {all.slice(0, SHOWN).map((job) => (
              <Row key={job.sandboxId} job={job} />
            ))}
          </tbody>
        </table>
      </Scroll>
      {all.length > SHOWN && <Empty>{all.length - SHOWN} more: hearth ps</Empty>}
    </Card>
  );
}

function Row({ job }: { readonly job: Job }): JSX.Element {
  const { jobId, attempt, image, serves, state, door, isolation, resources, ranMs } = job;
  return (
    <tr>
      <th scope="row">
        <span class="name">{jobId}</span> {attempt > 1 && <small>try {attempt}</small>}
      </th>
      <td data-label="Task" class="long">
        <span class="name" title={image}>
          {serves ?? image}
        </span>
      </td>
      <td data-label="State">
        <span class={`tier ${state === "running" ? "hot" : ""}`}>
          <Glyph name={SIGNS[state]} /> {state}
        </span>
      </td>
      <td data-label="Door">{door}</td>
      <td data-label="Class">{isolation ?? "–"}</td>
      <td data-label="Cores" class="num">
        {cores(resources.cpuMillis)}
      </td>
      <td data-label="Memory" class="num">
        {bytes(resources.memoryBytes)}
      </td>
      <td data-label="Ran" class="num">
        {ranMs === undefined ? "–" : age(ranMs)}
      </td>
    </tr>
  );
}

import type { ComponentChildren, JSX } from "preact";
import type { FleetHost } from "../../src/client/index.ts";
import { age, bytes, cores } from "../format.ts";
import { fleet } from "../state/fleet.ts";
import { nowMs } from "../state/live.ts";
import { Card, Empty, Scroll, TableHead } from "./card.tsx";
import type { GlyphName } from "./glyphs.tsx";
import { Glyph } from "./glyphs.tsx";

/** Beyond this many rows a page helps nobody. */
const SHOWN = 100;

const SIGNS: Readonly<Record<FleetHost["state"], GlyphName>> = {
  running: "dot",
  draining: "half",
  paused: "square",
};

/** The hosts that share the queue of jobs; nothing where this host takes none. */
export function FleetTable(): JSX.Element | null {
  const known = fleet.value;
  if (known === undefined) return null;
  const hosts = [...known.hosts].sort((a, b) => a.name.localeCompare(b.name));
  return (
    <Card
      title="Fleet"
      about="Hosts that share the queue of jobs, as each last said of itself."
      aside={`${hosts.length}`}
    >
      <Scroll label="The fleet">
        <table>
          <TableHead names={HEADS} figures={FIGURES} />
          <tbody>
            {hosts.slice(0, SHOWN).map((host) => (
              <Row key={host.hostId} host={host} isSelf={host.hostId === known.self} />
            ))}
          </tbody>
        </table>
      </Scroll>
      {hosts.length > SHOWN && <Empty>{hosts.length - SHOWN} more: hearth fleet</Empty>}
    </Card>
  );
}

const HEADS = ["Host", "State", "Types", "Runs", "Waits", "Cores", "Memory", "GPUs", "Warm", "Seen"] as const;
const FIGURES: ReadonlySet<string> = new Set(["Runs", "Waits", "Cores", "Memory", "GPUs", "Warm", "Seen"]);

function Row({ host, isSelf }: { readonly host: FleetHost; readonly isSelf: boolean }): JSX.Element {
  const { name, state, executerTypes, jobs, capacity, reserved, warm, version, labels, seenAtMs } = host;
  const traits = [
    ...(isSelf ? ["this host"] : []),
    version,
    ...Object.entries(labels).map(([key, value]) => `${key}=${value}`),
  ];
  return (
    <tr>
      <th scope="row">
        <span class="name" title={host.hostId}>
          {name}
        </span>
        <small>{traits.join(" · ")}</small>
      </th>
      <td data-label="State">
        <span class={`tier ${state === "running" ? "hot" : state}`}>
          <Glyph name={SIGNS[state]} /> {state}
        </span>
      </td>
      <td data-label="Types" class="long">
        {executerTypes.join(", ")}
      </td>
      <Figure label="Runs">{jobs.running}</Figure>
      <Figure label="Waits">{jobs.waiting}</Figure>
      <Figure label="Cores">
        <meter min="0" max={capacity.cpuMillis} value={reserved.cpuMillis} aria-hidden="true" />{" "}
        {cores(reserved.cpuMillis)}/{cores(capacity.cpuMillis)}
      </Figure>
      <Figure label="Memory">
        {bytes(reserved.memoryBytes)}/{bytes(capacity.memoryBytes)}
      </Figure>
      <Figure label="GPUs">
        {capacity.gpuCount === 0 ? "–" : `${reserved.gpuCount}/${capacity.gpuCount}`}
      </Figure>
      <td data-label="Warm" class="num" title={warm.join("\n")}>
        {warm.length}
      </td>
      <Figure label="Seen">{age(Math.max(0, nowMs.value - seenAtMs))}</Figure>
    </tr>
  );
}

function Figure({
  label,
  children,
}: {
  readonly label: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <td data-label={label} class="num">
      {children}
    </td>
  );
}

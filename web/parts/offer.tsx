import type { JSX } from "preact";
import { bytes, cores } from "../format.ts";
import { host } from "../state/live.ts";
import { Card, Empty } from "./card.tsx";

/** What this host offers to tasks: classes of isolation, GPUs, and how much in all. */
export function Offer(): JSX.Element {
  const view = host.value;
  if (view === undefined) {
    return (
      <Card title="This host" about={ABOUT}>
        <Empty>Nothing is known yet.</Empty>
      </Card>
    );
  }
  return (
    <Card
      title="This host"
      about={ABOUT}
      aside={`${cores(view.cpuMillis)} cores, ${bytes(view.memoryBytes)}`}
    >
      <h3>Isolation</h3>
      <ul class="classes">
        {view.isolation.map((name, i) => (
          <li key={name}>
            <b>{name}</b> {i === 0 && <small>what a call gets that asks for none</small>}
          </li>
        ))}
      </ul>
      <h3>GPUs</h3>
      {view.capacity.gpuCount === 0 ? (
        <Empty>None is given to tasks.</Empty>
      ) : (
        <p class="line">
          {view.reserved.gpuCount} of {view.capacity.gpuCount} booked {view.gpuModel}
        </p>
      )}
    </Card>
  );
}

const ABOUT = "What this host offers to tasks.";

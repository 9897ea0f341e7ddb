import type { JSX } from "preact";
import type { Host } from "../../src/client/index.ts";
import { bytes, cores } from "../format.ts";
import { host } from "../state/live.ts";
import { Card, Empty } from "./card.tsx";

type Kind = "cpuMillis" | "memoryBytes" | "gpuCount";

const KINDS: readonly { readonly kind: Kind; readonly name: string; print(value: number): string }[] = [
  { kind: "cpuMillis", name: "Cores", print: cores },
  { kind: "memoryBytes", name: "Memory", print: bytes },
  { kind: "gpuCount", name: "GPUs", print: String },
];

const DOORS = ["http", "stream", "indexify"] as const;

/** What tasks have booked of what they may have, by the door whose calls needed it. */
export function Books(): JSX.Element {
  const view = host.value;
  return (
    <Card
      title="Books"
      about="What tasks have booked of what they may have in all, by the door whose calls needed it."
    >
      {view === undefined ? <Empty>Nothing is known yet.</Empty> : <Bars view={view} />}
    </Card>
  );
}

function Bars({ view }: { readonly view: Host }): JSX.Element {
  const kinds = KINDS.filter(({ kind }) => kind !== "gpuCount" || view.capacity.gpuCount > 0);
  const doors = DOORS.filter(
    (door, i) => i === 0 || kinds.some(({ kind }) => view.reservedByDoor[door][kind] > 0),
  );
  return (
    <dl class="books">
      {kinds.map(({ kind, name, print }) => {
        const all = view.capacity[kind];
        const used = view.reserved[kind];
        return (
          <div key={kind}>
            <dt>{name}</dt>
            <dd>
              <b>{print(used)}</b> of {print(all)}
            </dd>
            <dd class="bar" aria-hidden="true">
              {DOORS.map((door) => (
                <Part key={door} door={door} share={all === 0 ? 0 : view.reservedByDoor[door][kind] / all} />
              ))}
            </dd>
            {doors.length > 1 && (
              <dd class="by">
                {doors.map((door) => (
                  <span key={door}>
                    <i class={`swatch ${door}`} aria-hidden="true" /> {door}{" "}
                    {print(view.reservedByDoor[door][kind])}
                  </span>
                ))}
              </dd>
            )}
          </div>
        );
      })}
      {view.disk !== undefined && view.takesJobs && <DiskBar disk={view.disk} />}
    </dl>
  );
}

/** Jobs alone book it. */
function DiskBar({ disk }: { readonly disk: NonNullable<Host["disk"]> }): JSX.Element {
  const { capacityBytes, reservedBytes } = disk;
  return (
    <div>
      <dt>Disk</dt>
      <dd>
        <b>{bytes(reservedBytes)}</b> of {bytes(capacityBytes)}
      </dd>
      <dd class="bar" aria-hidden="true">
        <Part door="stream" share={capacityBytes === 0 ? 0 : reservedBytes / capacityBytes} />
      </dd>
    </div>
  );
}

function Part({ door, share }: { readonly door: string; readonly share: number }): JSX.Element {
  return <i class={door} style={{ width: `${Math.min(100, share * 100)}%` }} />;
}

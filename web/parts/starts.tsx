import type { JSX } from "preact";
import type { HostEvent } from "../../src/client/index.ts";
import { clock, duration } from "../format.ts";
import { events } from "../state/live.ts";
import { Card, Empty, Scroll } from "./card.tsx";

type Start = Extract<HostEvent, { type: "start" }>;

const SHOWN = 8;

const PHASES = [
  { key: "resolveMs", name: "image" },
  { key: "admitMs", name: "room" },
  { key: "createMs", name: "create" },
  { key: "startMs", name: "start" },
  { key: "readyMs", name: "ready" },
  { key: "otherMs", name: "other" },
] as const;

/** Where the time of the last cold starts went. */
export function Starts(): JSX.Element {
  const last = events.value
    .filter((event): event is Start => event.type === "start" && !event.isUnwanted)
    .slice(-SHOWN)
    .reverse();
  const longest = Math.max(1, ...last.map(({ tookMs }) => tookMs));
  return (
    <Card title="Cold starts" about="The last starts of sandboxes, and where their time went.">
      {last.length === 0 ? (
        <Empty>No start yet. Each one is split into image, room, create, start and ready.</Empty>
      ) : (
        <>
          <ul class="phases-key" aria-hidden="true">
            {PHASES.map(({ key, name }) => (
              <li key={key}>
                <i class={`swatch ${key}`} /> {name}
              </li>
            ))}
          </ul>
          <Scroll label="The last starts">
            <ol class="starts">
              {last.map((start) => (
                <StartRow key={start.id} start={start} longest={longest} />
              ))}
            </ol>
          </Scroll>
        </>
      )}
    </Card>
  );
}

function StartRow({ start, longest }: { readonly start: Start; readonly longest: number }): JSX.Element {
  const { image, at, isReady, tookMs, phases, problem, wasPulled } = start;
  const known = partsOf(tookMs, phases);
  return (
    <li>
      <span class="name">{image}</span>
      <span class="num">
        <b>{duration(tookMs)}</b> <time>{clock(at)}</time>
      </span>
      <span class="bar" aria-hidden="true">
        {known.map(({ key, ms }) => (
          <i key={key} class={key} style={{ width: `${(ms / longest) * 100}%` }} />
        ))}
      </span>
      <small>
        {isReady
          ? known.map(({ name, ms }) => `${name} ${duration(ms)}`).join(", ")
          : `failed: ${problem?.detail ?? ""}`}
        {wasPulled ? ", pulled" : ""}
      </small>
    </li>
  );
}

interface Part {
  readonly key: (typeof PHASES)[number]["key"];
  readonly name: string;
  readonly ms: number;
}

/** The phases, and what is in none of them: such as the wait for the test of an isolation class. */
function partsOf(tookMs: number, phases: Start["phases"]): readonly Part[] {
  const known = PHASES.flatMap(({ key, name }) => {
    const ms = key === "otherMs" ? undefined : phases[key];
    return ms === undefined ? [] : [{ key, name, ms }];
  });
  const otherMs = tookMs - known.reduce((sum, { ms }) => sum + ms, 0);
  return otherMs < tookMs / 50 ? known : [...known, { key: "otherMs", name: "other", ms: otherMs }];
}

import type { JSX } from "preact";
import type { HostEvent } from "../../src/client/index.ts";
import { clock, shortId } from "../format.ts";
import { events } from "../state/live.ts";
import { Card, Empty, Scroll } from "./card.tsx";

type Failed = Extract<HostEvent, { type: "callFailed" }>;
type Untold = Extract<HostEvent, { type: "callsFailed" }>;

/** Failures of one kind, shown as the last of them. */
interface Group {
  readonly last: Failed;
  readonly count: number;
}

const SHOWN = 12;
const WHOSE = {
  caller: "the caller's matter",
  task: "the task's matter",
  host: "this host's matter",
} as const;

export function Errors(): JSX.Element {
  const groups = grouped(events.value.filter((event): event is Failed => event.type === "callFailed"));
  const untold = events.value
    .filter((event): event is Untold => event.type === "callsFailed")
    .reduce((sum, event) => sum + event.untold, 0);
  return (
    <Card
      title="Recent errors"
      about="Calls that failed or were refused, by kind, and whose matter it is."
      aside={untold === 0 ? undefined : `${untold.toLocaleString("en")} more came too fast to be told`}
    >
      {groups.length === 0 ? (
        <Empty>No call has failed lately.</Empty>
      ) : (
        <Scroll label="The last errors">
          <ol class="errors">
            {groups.slice(0, SHOWN).map((group) => (
              <One key={`${group.last.code} ${group.last.image}`} group={group} />
            ))}
          </ol>
        </Scroll>
      )}
    </Card>
  );
}

function One({ group: { last, count } }: { readonly group: Group }): JSX.Element {
  const { at, code, detail, image, fault, runId } = last;
  return (
    <li>
      <time>{clock(at)}</time>
      <span class="name">
        <code>{code}</code> {image} {count > 1 && <b>{count} times</b>}
      </span>
      <p>{detail}</p>
      <small>
        {WHOSE[fault]}
        {runId === undefined ? "" : ` · run ${shortId(runId)}`}
      </small>
    </li>
  );
}

/** By code and image; the newest kind first. */
function grouped(failures: readonly Failed[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const last of failures) {
    const key = `${last.code} ${last.image}`;
    const count = (groups.get(key)?.count ?? 0) + 1;
    groups.delete(key);
    groups.set(key, { last, count });
  }
  return [...groups.values()].reverse();
}

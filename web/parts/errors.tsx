import type { JSX } from "preact";
import type { HostEvent } from "../../src/client/index.ts";
import { clock, shortId } from "../format.ts";
import { events } from "../state/live.ts";
import { Card, Empty } from "./card.tsx";

type Failure = Extract<HostEvent, { type: "callFailed" | "callsFailed" }>;

const SHOWN = 12;
const WHOSE = { caller: "the caller's", task: "the task's", host: "this host's" } as const;

export function Errors(): JSX.Element {
  const failures = events.value
    .filter((event): event is Failure => event.type === "callFailed" || event.type === "callsFailed")
    .slice(-SHOWN)
    .reverse();
  return (
    <Card title="Recent errors" about="Calls that failed or were refused, and whose matter it is.">
      {failures.length === 0 ? (
        <Empty>No call has failed lately.</Empty>
      ) : (
        <ol class="errors">
          {failures.map((failure) => (
            <li key={failure.id}>
              {failure.type === "callFailed" ? <One failure={failure} /> : <Many failure={failure} />}
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}

function One({ failure }: { readonly failure: Extract<Failure, { type: "callFailed" }> }): JSX.Element {
  const { at, code, detail, image, fault, runId } = failure;
  return (
    <>
      <time>{clock(at)}</time>
      <code>{code}</code>
      <span class="name">{image}</span>
      <p>{detail}</p>
      <small>
        {WHOSE[fault]}
        {runId === undefined ? "" : ` · run ${shortId(runId)}`}
      </small>
    </>
  );
}

function Many({ failure }: { readonly failure: Extract<Failure, { type: "callsFailed" }> }): JSX.Element {
  const { at, untold, byCode } = failure;
  const codes = Object.entries(byCode).map(([code, count]) => `${code} ${count}`);
  return (
    <>
      <time>{clock(at)}</time>
      <code>{untold} more</code>
      <p>{codes.join(", ")}</p>
    </>
  );
}

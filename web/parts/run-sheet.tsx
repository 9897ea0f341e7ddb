import type { JSX } from "preact";
import type { Run } from "../../src/client/index.ts";
import { attempt } from "../actions.ts";
import { bytes, cores, duration } from "../format.ts";
import { daemon } from "../state/daemon.ts";

type Receipt = NonNullable<Run["receipt"]>;

/** In their order, with the mark of the same step of a start. */
const PHASES = [
  { key: "queued", name: "waiting", mark: "admitMs" },
  { key: "pull", name: "image", mark: "resolveMs" },
  { key: "create", name: "create", mark: "createMs" },
  { key: "start", name: "start", mark: "startMs" },
  { key: "ready", name: "ready", mark: "readyMs" },
  { key: "firstByte", name: "first byte", mark: "firstByteUs" },
  { key: "answer", name: "answer", mark: "otherMs" },
] as const satisfies readonly { readonly key: keyof Receipt["phasesUs"]; name: string; mark: string }[];

/** One run with its receipt: what it was given, what it took, and where its time went. */
export function RunSheet({ run }: { readonly run: Run }): JSX.Element {
  const { receipt, problem, state, image, door, placement } = run;
  return (
    <div class="receipt">
      {problem !== undefined && (
        <p class="why">
          <code>{problem.code}</code> {problem.detail}
        </p>
      )}
      {receipt !== undefined && <Times receipt={receipt} />}
      <dl>
        <Fact name="Run">
          <code>{run.id}</code>
        </Fact>
        <Fact name="Outcome">{[state, run.answer?.status ?? problem?.status].filter(Boolean).join(" ")}</Fact>
        <Fact name="Task">{image}</Fact>
        <Fact name="Came in by">{door}</Fact>
        <Fact name="Class">{placement?.isolation}</Fact>
        <Fact name="Start">{placement?.start}</Fact>
        <Fact name="Sandbox">{placement && <code>{placement.sandboxId}</code>}</Fact>
        <Fact name="Content">{placement && <code>{placement.imageDigest}</code>}</Fact>
        {receipt !== undefined && <Amounts receipt={receipt} />}
      </dl>
      {receipt === undefined ? (
        <p class="empty">It has no receipt yet, or none any more.</p>
      ) : (
        <div class="acts">
          <button type="button" onClick={() => attempt(() => save(run.id))}>
            Save receipt
          </button>
        </div>
      )}
    </div>
  );
}

function Times({ receipt: { phasesUs, wallUs } }: { readonly receipt: Receipt }): JSX.Element {
  const parts = PHASES.flatMap((phase) => {
    const us = phasesUs[phase.key] ?? 0;
    return us === 0 ? [] : [{ ...phase, us }];
  });
  return (
    <>
      <span class="bar" aria-hidden="true">
        {parts.map(({ key, mark, us }) => (
          <i key={key} class={mark} style={{ width: `${(us / Math.max(1, wallUs)) * 100}%` }} />
        ))}
      </span>
      <ul class="phases-key">
        {parts.map(({ key, mark, name, us }) => (
          <li key={key}>
            <i class={`swatch ${mark}`} aria-hidden="true" /> {name} {duration(us / 1000)}
          </li>
        ))}
      </ul>
    </>
  );
}

function Amounts({ receipt: { booked, used, wallUs, seq } }: { readonly receipt: Receipt }): JSX.Element {
  const isShared = used.reading === "shared";
  return (
    <>
      <Fact name="Took">{duration(wallUs / 1000)}</Fact>
      <Fact name="Could have">
        {`${cores(booked.cpuMillis)} cores, ${bytes(booked.memoryBytes)}`}
        {booked.gpuIds.length > 0 && `, ${booked.gpuIds.join(", ")}`}
      </Fact>
      <Fact name="Used">
        {[
          used.cpuUs === undefined ? "CPU not known" : `${duration(used.cpuUs / 1000)} of CPU`,
          used.memoryPeakBytes === undefined ? "memory not known" : `${bytes(used.memoryPeakBytes)} at most`,
        ].join(", ")}
        {isShared && ", shared out among the calls in its sandbox"}
      </Fact>
      <Fact name="In and out">{`${bytes(used.bytesIn)} and ${bytes(used.bytesOut)}`}</Fact>
      <Fact name="Receipt">{`number ${seq} of the signed chain`}</Fact>
    </>
  );
}

function Fact({
  name,
  children,
}: {
  readonly name: string;
  readonly children: JSX.Element | string | (string | boolean)[] | undefined;
}): JSX.Element | null {
  if (children === undefined || children === "") return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

/** As a file for `hearth verify`, which needs no daemon. */
async function save(id: string): Promise<string> {
  const receipt = await daemon().receipt(id);
  const url = URL.createObjectURL(new Blob([`${JSON.stringify(receipt)}\n`], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `receipt-${id}.json`;
  link.click();
  URL.revokeObjectURL(url);
  return "The receipt is saved. `hearth verify` checks it.";
}

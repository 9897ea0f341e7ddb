import type { JSX } from "preact";
import type { Host } from "../../src/client/index.ts";
import { bytes, cores, percent } from "../format.ts";
import { host } from "../state/live.ts";
import { Card, Empty } from "./card.tsx";
import type { GlyphName } from "./glyphs.tsx";
import { Glyph } from "./glyphs.tsx";

type Class = Host["classes"][number];
type Policy = Host["networks"]["offered"][number];
type Gpu = Host["gpus"][number];

const ABOUT =
  "What this host offers to tasks: classes of isolation, networks and GPUs, and why one cannot be used.";
const SIGNS: Readonly<Record<Class["state"], GlyphName>> = {
  usable: "dot",
  unusable: "cross",
  unproven: "ring",
};
const WORDS: Readonly<Record<Class["state"], string>> = {
  usable: "usable",
  unusable: "cannot be used",
  unproven: "is being tested",
};

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
      aside={`${view.driver}, ${cores(view.cpuMillis)} cores, ${bytes(view.memoryBytes)}`}
    >
      {view.disk !== undefined && <DiskGauge disk={view.disk} />}
      <h3>Isolation</h3>
      <ul class="classes">
        {view.classes.map((one, i) => (
          <ClassLine key={`${one.isolation} ${one.runtime ?? ""}`} one={one} isDefault={i === 0} />
        ))}
      </ul>
      <h3>Network</h3>
      <Networks report={view.networks} />
      <h3>GPUs</h3>
      {view.gpus.length === 0 ? (
        <Empty>None is given to tasks{view.gpuTrouble === undefined ? "." : `: ${view.gpuTrouble}`}</Empty>
      ) : (
        <ul class="classes">
          {view.gpus.map((card) => (
            <GpuLine key={card.id} card={card} />
          ))}
        </ul>
      )}
    </Card>
  );
}

/** How full the file system is that work folders lie on. */
function DiskGauge({ disk }: { readonly disk: NonNullable<Host["disk"]> }): JSX.Element {
  const { totalBytes, availableBytes } = disk;
  const share = (totalBytes - availableBytes) / totalBytes;
  return (
    <dl class="books">
      <div>
        <dt>Disk</dt>
        <dd>
          <b>{percent(share * 100)}</b> in use, {bytes(availableBytes)} of {bytes(totalBytes)} free
        </dd>
        <dd class="bar" aria-hidden="true">
          <i class="used" style={{ width: `${share * 100}%` }} />
        </dd>
      </div>
    </dl>
  );
}

function ClassLine({ one, isDefault }: { readonly one: Class; readonly isDefault: boolean }): JSX.Element {
  const { isolation, runtime, state, reasons, sight } = one;
  const facts = [
    ...(isDefault ? ["what a call gets that asks for none"] : []),
    ...(runtime === undefined ? [] : [`runtime ${runtime}`]),
    ...(sight === undefined ? [] : [sight.hasOwnKernel ? `own kernel ${sight.kernel}` : "the host's kernel"]),
    ...(sight === undefined || sight.enforced.length === 0 ? [] : [`holds ${sight.enforced.join(", ")}`]),
    ...reasons,
  ];
  return (
    <li class={state}>
      <Glyph name={SIGNS[state]} />
      <span>
        <b>{isolation}</b> {WORDS[state]}
      </span>
      {facts.length > 0 && <small>{facts.join(" · ")}</small>}
    </li>
  );
}

const REACHES: Readonly<Record<Policy, string>> = {
  none: "reaches nothing",
  internal: "reaches what this host's list allows",
  egress: "reaches the outside too, and nothing private",
};

/** What tasks may be let reach here. Without a policy on offer the reasons are all there is to say. */
function Networks({ report }: { readonly report: Host["networks"] }): JSX.Element {
  const { offered, default: fallback, isFiltered, reasons } = report;
  return (
    <ul class="classes">
      {offered.map((policy) => (
        <li key={policy} class="usable">
          <Glyph name="dot" />
          <span>
            <b>{policy}</b> on offer
          </span>
          <small>
            {[REACHES[policy], ...(policy === fallback ? ["what a call gets that asks for none"] : [])].join(
              " · ",
            )}
          </small>
        </li>
      ))}
      {(reasons.length > 0 || !isFiltered) && (
        <li class={isFiltered ? "unproven" : "unusable"}>
          <Glyph name={isFiltered ? "ring" : "cross"} />
          <span>
            {isFiltered
              ? "Not everything is on offer"
              : "Nothing keeps tasks from this host and private networks"}
          </span>
          {reasons.length > 0 && <small>{reasons.join(" · ")}</small>}
        </li>
      )}
    </ul>
  );
}

function GpuLine({ card }: { readonly card: Gpu }): JSX.Element {
  const { index, model, isHealthy, reason, computePercent, memoryUsedBytes, memoryBytes, isBusyOutside } =
    card;
  const { word, sign } = useOf(card);
  const facts = [
    `computes ${percent(computePercent)}`,
    `${bytes(memoryUsedBytes)} of ${bytes(memoryBytes)} in use`,
    ...(isBusyOutside ? ["in use by something that is no task"] : []),
    ...(reason === undefined ? [] : [reason]),
  ];
  return (
    <li class={isHealthy ? "usable" : "unusable"}>
      <Glyph name={sign} />
      <span>
        <b>
          {index} {model}
        </b>{" "}
        {word}
      </span>
      <small>{facts.join(" · ")}</small>
    </li>
  );
}

function useOf({ isHealthy, isBusyOutside, holders }: Gpu): {
  readonly word: string;
  readonly sign: GlyphName;
} {
  if (!isHealthy) return { word: "cannot be used", sign: "cross" };
  if (holders.length > 0) {
    return { word: `held by ${holders.length === 1 ? "one task" : `${holders.length} tasks`}`, sign: "dot" };
  }
  return isBusyOutside ? { word: "left alone", sign: "half" } : { word: "free", sign: "ring" };
}

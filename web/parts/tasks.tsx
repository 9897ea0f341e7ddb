import type { JSX } from "preact";
import type { LiveSandbox } from "../../src/client/index.ts";
import { askEvict } from "../actions.ts";
import { age, bytes, cores } from "../format.ts";
import { dialog } from "../state/dialogs.ts";
import { control, nowMs, sandboxes } from "../state/live.ts";
import { Card, Empty } from "./card.tsx";
import type { GlyphName } from "./glyphs.tsx";
import { Glyph } from "./glyphs.tsx";

/** Beyond this many rows a page helps nobody. */
const SHOWN = 200;

const SIGNS: Readonly<Record<LiveSandbox["tier"], GlyphName>> = {
  starting: "half",
  hot: "dot",
  retiring: "square",
  freezing: "flake",
  frozen: "flake",
  thawing: "half",
  stopping: "square",
};

export function Tasks(): JSX.Element {
  const all = [...sandboxes.value.values()].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  return (
    <Card
      title="Warm tasks"
      about="Sandboxes that are there, the youngest first."
      aside={all.length === 0 ? undefined : `${all.length}`}
    >
      {all.length === 0 ? (
        <Empty>
          No task is warm. The first call of an image starts one: <code>hearth call IMAGE</code>
        </Empty>
      ) : (
        <table>
          <thead>
            <tr>
              {["Task", "State", "Class", "Cores", "Memory", "Slots", "Calls", "Age", "Idle"].map((name) => (
                <th key={name} scope="col" class={COUNTED.has(name) ? "num" : ""}>
                  {name}
                </th>
              ))}
              <th scope="col">
                <span class="hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {all.slice(0, SHOWN).map((sandbox) => (
              <Row key={sandbox.id} sandbox={sandbox} />
            ))}
          </tbody>
        </table>
      )}
      {all.length > SHOWN && <Empty>{all.length - SHOWN} more: hearth ps</Empty>}
    </Card>
  );
}

const COUNTED = new Set(["Cores", "Memory", "Slots", "Calls", "Age", "Idle"]);

function Row({ sandbox }: { readonly sandbox: LiveSandbox }): JSX.Element {
  const { image, tier, isolation, isolationWish, resources, slotsUsed, slots, calls, createdAt, idleSince } =
    sandbox;
  return (
    <tr>
      <th scope="row">
        <span class="name" title={`${sandbox.label}\n${sandbox.imageDigest ?? ""}`}>
          {image}
        </span>
        <small>{traitsOf(sandbox)}</small>
        {sandbox.warnings.length > 0 && <small>{sandbox.warnings.join(" · ")}</small>}
      </th>
      <td data-label="State">
        <span class={`tier ${tier}`}>
          <Glyph name={SIGNS[tier]} /> {tier}
        </span>
      </td>
      <td data-label="Class">
        {isolation ?? (isolationWish === "default" ? "–" : `wants ${isolationWish}`)}
      </td>
      <td data-label="Cores" class="num">
        {cores(resources.cpuMillis)}
      </td>
      <td data-label="Memory" class="num">
        {bytes(resources.memoryBytes)}
      </td>
      <td data-label="Slots" class="num">
        <meter min="0" max={slots} value={slotsUsed} aria-hidden="true" /> {slotsUsed}/{slots}
      </td>
      <td data-label="Calls" class="num">
        {calls.toLocaleString("en")}
      </td>
      <td data-label="Age" class="num">
        {age(nowMs.value - Date.parse(createdAt))}
      </td>
      <td data-label="Idle" class="num">
        {idleSince === undefined ? "–" : age(nowMs.value - Date.parse(idleSince))}
      </td>
      <Acts sandbox={sandbox} />
    </tr>
  );
}

function Acts({ sandbox }: { readonly sandbox: LiveSandbox }): JSX.Element {
  const { id, image } = sandbox;
  return (
    <td class="acts">
      <button
        type="button"
        aria-label={`Logs of ${image} ${id}`}
        onClick={() => {
          dialog.value = { type: "logs", sandboxId: id, title: image };
        }}
      >
        Logs
      </button>
      <button
        type="button"
        class="danger"
        aria-disabled={!control.value.isAllowed}
        title={control.value.reason}
        aria-label={`Evict ${image} ${id}`}
        onClick={() => {
          if (control.value.isAllowed) askEvict(sandbox);
        }}
      >
        Evict
      </button>
    </td>
  );
}

/** What is special about it; nothing for most. */
function traitsOf(sandbox: LiveSandbox): string {
  const { network, sgx, gpuIds } = sandbox;
  return [
    sandbox.id.slice(0, 10),
    ...(network === "default" ? [] : [`network ${network}`]),
    ...(sgx ? ["SGX"] : []),
    ...(sandbox.sessions === 0
      ? []
      : [`kept by ${sandbox.sessions === 1 ? "a session" : `${sandbox.sessions} sessions`}`]),
    ...(gpuIds.length === 0 ? [] : [`GPU ${gpuIds.map((gpu) => gpu.slice(0, 12)).join(", ")}`]),
  ].join(" · ");
}

import type { AttemptPlace } from "../ports/receipts.ts";
import type { TaskSpec } from "../task/task-spec.ts";
import type { PhasesUs } from "./entry.ts";

/** What all attempts in one sandbox, or for one task without one, have in common. */
export interface AttemptFacts {
  readonly image: string;
  readonly isolationAsked: string;
  readonly cpuMillis: number;
  readonly gpuMemoryBytes: number;
  readonly memoryBytes: number;
  readonly network: string;
  readonly gpuIds: readonly string[];
  readonly taskKey: string;
  readonly digest: string | undefined;
  readonly isolation: string | undefined;
  readonly sandbox: string | undefined;
}

/** The facts of an attempt, as plain values. */
export function attemptFacts(
  task: TaskSpec,
  taskKey: string,
  place: AttemptPlace | undefined,
  gpuIds: readonly string[],
): AttemptFacts {
  return {
    image: task.image,
    isolationAsked: task.isolation,
    cpuMillis: task.resources.cpuMillis,
    gpuMemoryBytes: task.resources.gpuMemoryBytes,
    memoryBytes: task.resources.memoryBytes,
    network: task.network,
    gpuIds,
    taskKey,
    digest: place?.imageDigest,
    isolation: place?.isolation,
    sandbox: place?.sandboxId,
  };
}

/** The parts of an entry's text that facts decide, in the order of its keys. */
export interface FactsText {
  readonly booked: string;
  readonly image: string;
  readonly sandbox: string;
  readonly taskKey: string;
}

/** Written once for all attempts that share them. */
export function factsText(facts: AttemptFacts): FactsText {
  const text = (value: string): string => JSON.stringify(value);
  const { cpuMillis, gpuIds, gpuMemoryBytes, memoryBytes, network } = facts;
  const cards = `"gpuIds":[${gpuIds.map(text).join(",")}],"gpuMemoryBytes":${gpuMemoryBytes}`;
  return {
    booked: `"booked":{"cpuMillis":${cpuMillis},${cards},"memoryBytes":${memoryBytes},"network":${text(network)}},${word("digest", facts.digest)}`,
    image: `"image":${text(facts.image)},${word("isolation", facts.isolation)}"isolationAsked":${text(facts.isolationAsked)},`,
    sandbox: word("sandbox", facts.sandbox),
    taskKey: word("taskKey", facts.taskKey),
  };
}

/** What differs from attempt to attempt; `undefined` is left out of the text. */
export interface AttemptValues {
  readonly seq: number;
  readonly id: string;
  readonly door: string;
  readonly start: string | undefined;
  readonly used: {
    readonly bytesIn: number;
    readonly bytesOut: number;
    readonly cpuUs: number | undefined;
    readonly memoryPeakBytes: number | undefined;
    readonly reading: string;
  };
  readonly acceptedAtUs: number;
  readonly wallUs: number;
  readonly phasesUs: PhasesUs;
  readonly outcome: string;
  readonly status: number | undefined;
  readonly error: string | undefined;
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
}

/**
 * The canonical text of an attempt, put together from what is ready: the same as `canonical` gives for its `AttemptEntry`, at a
 * fraction of its cost.
 */
export function encodeAttempt(values: AttemptValues, facts: FactsText): string {
  const { used } = values;
  return (
    `{"acceptedAtUs":${values.acceptedAtUs},${facts.booked}"door":"${values.door}",` +
    `${word("error", values.error)}${number("exitCode", values.exitCode)}` +
    `"id":${JSON.stringify(values.id)},${facts.image}"outcome":"${values.outcome}",` +
    `"phasesUs":{${phasesText(values.phasesUs)}},${facts.sandbox}` +
    `"seq":${values.seq},${word("signal", values.signal)}${word("start", values.start)}` +
    `${number("status", values.status)}${facts.taskKey}"type":"attempt",` +
    `"used":{"bytesIn":${used.bytesIn},"bytesOut":${used.bytesOut},` +
    `${number("cpuUs", used.cpuUs)}${number("memoryPeakBytes", used.memoryPeakBytes)}` +
    `"reading":"${used.reading}"},"wallUs":${values.wallUs}}`
  );
}

function word(key: string, value: string | undefined): string {
  return value === undefined ? "" : `"${key}":${JSON.stringify(value)},`;
}

function number(key: string, value: number | undefined): string {
  return value === undefined ? "" : `"${key}":${value},`;
}

function phasesText({ answer, create, firstByte, pull, queued, ready, start }: PhasesUs): string {
  // In the order of their names. What took no time is left out.
  const text =
    phase("answer", answer) +
    phase("create", create) +
    phase("firstByte", firstByte) +
    phase("pull", pull) +
    phase("queued", queued) +
    phase("ready", ready) +
    phase("start", start);
  return text.slice(1);
}

function phase(name: keyof PhasesUs, us: number | undefined): string {
  return us === undefined || us === 0 ? "" : `,"${name}":${us}`;
}

import type { AttemptRecord, ReceiptLog, SandboxUse } from "../../src/core/index.ts";
import { asId, DEFAULT_RESOURCES, taskKey } from "../../src/core/index.ts";

const task = {
  image: "example/task",
  isolation: "default",
  resources: DEFAULT_RESOURCES,
  sgx: false,
  network: "default",
} as const;

/** An attempt that has ended, as an engine would tell it; a warm one that was answered, unless told otherwise. */
export function attempt(id: string, more: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    id,
    door: "v1",
    task,
    taskKey: taskKey(task),
    place: { sandboxId: "sandbox-1", isolation: "container", imageDigest: "sha256:1", start: "warm" },
    gpuIds: [],
    times: { acceptedAtMs: 10, placedAtMs: 11, headAtMs: 14, endedAtMs: 15, start: undefined },
    use: { type: "known", cpuMs: 1.5, memoryPeakBytes: 4096 },
    bytesIn: 3,
    bytesOut: 5,
    outcome: "answered",
    status: 200,
    error: undefined,
    ...more,
  };
}

/** One that never had a place. */
export function refused(id: string, error: Error): AttemptRecord {
  const times = {
    acceptedAtMs: 10,
    placedAtMs: undefined,
    headAtMs: undefined,
    endedAtMs: 10,
    start: undefined,
  };
  return attempt(id, {
    place: undefined,
    use: undefined,
    outcome: "failed",
    status: undefined,
    error,
    times,
  });
}

/** A meter that tells what it was asked for when the test says so. */
export function heldMeter(): { readonly meter: SandboxUse; tell(cpuMs: number): void } {
  const asked: Parameters<SandboxUse["measure"]>[] = [];
  return {
    meter: { measure: (...args) => void asked.push(args) },
    tell: (cpuMs) => {
      for (const [, , , sink, token] of asked.splice(0)) sink.measured(token, cpuMs, 1000, "own");
    },
  };
}

/** Ids as `nextRunId` makes them: they sort by time. */
export function plainId(index: number): string {
  return asId<"run">(`01${String(index).padStart(24, "0")}`);
}

/** The whole chain as text, line by line. */
export async function exported(
  log: ReceiptLog,
  range: { readonly from?: number; readonly to?: number } = {},
): Promise<string[]> {
  let text = "";
  for await (const piece of log.lines(range)) text += piece;
  return text.split("\n").slice(0, -1);
}

import type { FleetHost, JobTaskStatus } from "../../client/index.ts";
import { DEFAULT_METHOD_TYPES, executerTypeOf } from "../../contract/executer-tracker/method-types.ts";
import { withDeadline } from "../../std/deadline.ts";
import { eitherSignal } from "../../std/either-signal.ts";
import { sleep } from "../../std/sleep.ts";
import type { Context } from "../command.ts";
import { visible } from "../print.ts";

/** A host with room begins a task sooner. */
const LONG_MS = 5000;
/** How long the daemon may take to say what it knows. */
const ASK_MS = 5000;

/** A task that waits for a host. */
export interface WantedTask {
  readonly id: string;
  readonly method: string;
  /** The only pool whose hosts may run it, if it names one. */
  readonly pool: string | undefined;
}

/**
 * Says once on standard error what is known of the hosts, if a task waits for one for some seconds. Not while the daemon here holds
 * the task, nor where the signal has aborted by then.
 *
 * @returns to be told each status that is seen.
 */
export function tellLongWait(
  { io, isQuiet, connect }: Pick<Context, "io" | "isQuiet" | "connect">,
  task: WantedTask,
  signal: AbortSignal,
): (status: JobTaskStatus) => void {
  const begun = new AbortController();
  let isWatched = isQuiet;
  const watch = async (): Promise<void> => {
    using over = eitherSignal(signal, begun.signal);
    await sleep(LONG_MS, over.signal);
    const limit = { ms: ASK_MS, code: "REQUEST_TIMEOUT", parent: over.signal } as const;
    const [isHeld, hosts] = await withDeadline(limit, (asked) =>
      Promise.all([holds(connect, task.id, asked), fleetOf(connect, asked)]),
    );
    if (!isHeld && !over.signal.aborted) io.err(`hearth: ${longWaitLine(task, hosts)}`);
  };
  return (status) => {
    if (status === "pending-input") return;
    if (status !== "submitted") begun.abort();
    else if (!isWatched) {
      isWatched = true;
      watch().catch(() => undefined); // it has begun, or is over
    }
  };
}

/** What can be said of a task that no host has begun. @param hosts the fleet, if a daemon tells it. */
export function longWaitLine(task: WantedTask, hosts: readonly FleetHost[] | undefined): string {
  const waits = `${task.id}: no host has begun it yet`;
  if (hosts === undefined)
    return `${waits}; \`hearth fleet\` and \`hearth queue list\` show more, at a daemon of its queue (-H)`;
  return `${waits}; ${hostsLine(task, hosts)}; \`hearth queue list\` shows what a host holds`;
}

/** Which type runs a method may be set otherwise at the web API (`api.methods`): here it is the usual one. */
function hostsLine({ method, pool }: WantedTask, hosts: readonly FleetHost[]): string {
  if (hosts.length === 0) return "`hearth fleet` has no host";
  const all = `\`hearth fleet\` has ${hosts.length === 1 ? "1 host" : `${hosts.length} hosts`}`;
  const types = [...new Set(hosts.flatMap(({ executerTypes }) => executerTypes))].map(visible).join(", ");
  const type = executerTypeOf(method, DEFAULT_METHOD_TYPES);
  if (type === undefined) return `${all}, and the types there are ${types}`;
  const able = hosts.filter(({ executerTypes }) => executerTypes.includes(type));
  const usual = `its usual type "${type}"`;
  if (able.length === 0) return `${all}, of which none runs ${usual} but ${types}`;
  const resting = able.filter(({ state }) => state !== "running").length;
  return [
    `${all}, of which ${able.length === 1 ? "1 runs" : `${able.length} run`} ${usual}`,
    ...(resting === 0 ? [] : [`${resting} of those ${resting === 1 ? "takes" : "take"} no jobs now`]),
    ...(pool === undefined ? [] : [`which of them are in its pool is not told there`]),
  ].join("; ");
}

/** Whether the daemon here has it, begun or not. One that does not tell has it not, as far as is known. */
async function holds(connect: Context["connect"], id: string, signal: AbortSignal): Promise<boolean> {
  try {
    const { jobs } = await connect().queue({ signal });
    return jobs.some(({ jobId }) => jobId === id);
  } catch {
    return false; // no daemon here, or one that does not tell this caller
  }
}

async function fleetOf(
  connect: Context["connect"],
  signal: AbortSignal,
): Promise<readonly FleetHost[] | undefined> {
  try {
    return (await connect().fleet({ signal })).hosts;
  } catch {
    return undefined; // likewise, or its queue is off or away
  }
}

import type { Clock, FleetBoard, FleetHost } from "../../core/index.ts";
import { eitherSignal, pause } from "../../std/index.ts";
import type { StreamDoorOptions } from "./door-options.ts";

/** How soon the others hear that this host takes no more work, or takes it again. */
const STATE_POLL_MS = 250;
/** No host says more of itself. */
const WARM_LIMIT = 64;

/** What this host says of itself to the others. */
export function describeHost(
  { executor, types, settings, hostDisk, ownerId, version, clock }: StreamDoorOptions,
  startedAtMs: number,
  jobs: FleetHost["jobs"],
): FleetHost {
  const view = executor.view();
  const warm = executor
    .sandboxes()
    .filter(({ tier }) => tier === "hot" || tier === "frozen")
    .map(({ task, isolation }) => `${task.image} ${isolation ?? task.isolation}`);
  return {
    hostId: ownerId,
    name: settings.hostName,
    version,
    startedAtMs,
    seenAtMs: clock.wallMs(),
    state: view.state === "pausing" ? "paused" : view.state,
    labels: settings.labels,
    capacity: { ...view.capacity, ...diskOf(hostDisk?.capacityBytes) },
    reserved: { ...view.reserved, ...diskOf(hostDisk?.reservedBytes()) },
    jobs,
    warm: [...new Set(warm)].slice(0, WARM_LIMIT),
    executerTypes: [...types.keys()],
  };
}

function diskOf(diskBytes: number | undefined): { readonly diskBytes?: number } {
  return diskBytes === undefined ? {} : { diskBytes };
}

/** Says it every few seconds, and at once when its state changes, until the signal aborts; then takes it back. */
export async function keepBeating(
  board: FleetBoard,
  { settings, clock, ownerId, log, executor }: StreamDoorOptions,
  describe: () => FleetHost,
  signal: AbortSignal,
): Promise<void> {
  let wasTold = true;
  while (!signal.aborted) {
    const isReady = await isReadyWithin(board, clock, settings.fleetMs, signal);
    const { state } = executor;
    try {
      await board.publish(describe());
      wasTold = true;
    } catch (error) {
      if (wasTold) log.log("warn", "fleet.away", { error });
      wasTold = false;
    }
    // One that is away has been waited for already.
    if (isReady) await pauseWhile(() => executor.state === state, clock, settings.fleetMs, signal);
  }
  await board.withdraw(ownerId).catch(() => undefined);
}

async function pauseWhile(
  isSame: () => boolean,
  clock: Clock,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const untilMs = clock.nowMs() + ms;
  for (let leftMs = ms; leftMs > 0 && isSame() && !signal.aborted; leftMs = untilMs - clock.nowMs()) {
    await pause(clock, Math.min(leftMs, STATE_POLL_MS), signal);
  }
}

/** Waits for a board that is away, so that the others hear of this host as soon as they can, but no longer than to the next beat. */
async function isReadyWithin(
  board: FleetBoard,
  clock: Clock,
  ms: number,
  signal: AbortSignal,
): Promise<boolean> {
  const over = new AbortController();
  using bounded = eitherSignal(signal, over.signal);
  const ready = board.ready(bounded.signal).then(
    () => true,
    () => false, // the time is over
  );
  const isReady = await Promise.race([ready, pause(clock, ms, bounded.signal).then(() => false)]);
  over.abort();
  return isReady;
}

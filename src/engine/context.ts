import type {
  Books,
  Clock,
  HostMonitor,
  Log,
  Observer,
  OpenChannel,
  SandboxDriver,
  SandboxId,
  Settings,
} from "../core/index.ts";
import type { AdmissionDesk } from "./admission-desk.ts";
import type { MeterHost } from "./calls/use-meter.ts";
import type { GpuOffer } from "./gpus/gpu-cards.ts";
import type { LastWords } from "./sandboxes/last-words.ts";
import type { SandboxOwner } from "./sandboxes/sandbox-owner.ts";

/** What every part of the engine shares. One executor has one of these. */
export interface EngineContext {
  readonly driver: SandboxDriver;
  readonly openChannel: OpenChannel;
  readonly host: HostMonitor;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: Observer;
  /** What calls use of their sandboxes is measured with this; `undefined`: nobody wants to know. */
  readonly meters: MeterHost | undefined;
  readonly books: Books;
  readonly desk: AdmissionDesk;
  /** What sandboxes that are gone printed last. */
  readonly lastWords: LastWords;
  gpuOffer(): GpuOffer;
  settings(): Settings;
  newSandboxId(): SandboxId;
  /** A sandbox changed its state in a way that others may wait for. */
  ownerChanged(owner: SandboxOwner): void;
  /** Aborts when the executor lets go of everything. */
  readonly ending: AbortSignal;
  /** Runs something alongside whose failure is a defect; the executor's end waits for it. */
  track(work: Promise<void>): void;
  /** Calls again soon if something waits that only time can decide. */
  armTick(): void;
}

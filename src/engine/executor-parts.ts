import type {
  Clock,
  GpuMonitor,
  HostMonitor,
  Log,
  Observer,
  OpenChannel,
  SandboxDriver,
  SandboxId,
  SessionId,
  Settings,
  Tracer,
} from "../core/index.ts";

/** What an executor is made of. */
export interface ExecutorParts {
  readonly driver: SandboxDriver;
  readonly openChannel: OpenChannel;
  readonly host: HostMonitor;
  readonly gpus: GpuMonitor;
  readonly clock: Clock;
  readonly log: Log;
  /** Hears what happens. Left out: nobody does. */
  readonly observer?: Observer;
  /** Left out: calls are not traced. */
  readonly tracer?: Tracer;
  /** Whether calls tell what they used of their sandbox. Default: no. */
  readonly measuresUse?: boolean;
  readonly settings: Settings;
  /** The operator's policy; asked before anything is looked up or booked. */
  isImageAllowed(image: string): boolean;
  newSandboxId(): SandboxId;
  /** One that nobody can guess. */
  newSessionId(): SessionId;
}

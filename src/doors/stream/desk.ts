import type { Registration } from "../../contract/executer-tracker/index.ts";
import type { JobSource, LogEvent, LogFields, LogLevel } from "../../core/index.ts";
import type { LeftoverJob } from "../../engine/jobs/jobs.ts";
import type { JobDisk } from "./disk/job-disk.ts";
import type { StreamDoorOptions } from "./door-options.ts";
import type { HeldJob } from "./held-job.ts";
import type { Slots } from "./slots.ts";
import type { Speaker, Termination } from "./verdict.ts";
import type { WorkFolders } from "./work-folders.ts";

/** What the jobs of one door share once the queue is open. */
export interface JobDesk {
  readonly options: StreamDoorOptions;
  readonly source: JobSource;
  readonly registration: Registration;
  readonly folders: WorkFolders;
  readonly slots: Slots;
  readonly disk: JobDisk;
  /** Jobs of an earlier life that nobody has asked for yet, by their id; one that is taken is no longer here. */
  readonly leftovers: Map<string, LeftoverJob>;
  /** Types of which was told that their jobs are left to others. */
  readonly leftTypes: Set<string>;
  /** Why the daemon ends, once that is known. */
  termination(): Termination;
}

export function speakerOf({ options, registration }: JobDesk, attempt: number): Speaker {
  const { clock, settings } = options;
  return { executerId: registration.uuid, host: settings.hostName, attempt, wallMs: clock.wallMs() };
}

type ClaimEvent = Extract<LogEvent, `claim.${string}`>;

export function logClaim(
  { options }: JobDesk,
  { claim, request }: HeldJob,
  level: LogLevel,
  event: ClaimEvent,
  fields: LogFields = {},
): void {
  const { jobId, attempt, stream } = claim;
  const type = request === undefined ? {} : { executerType: request.executer_type, method: request.method };
  options.log.log(level, event, { jobId, attempt, stream, ...type, ...fields });
}

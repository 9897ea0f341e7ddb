export type { Problem } from "../contract/problem.ts";
export type { Placement, Progress, Run, RunList } from "../contract/v1/calls.ts";
export type { Config, ConfigChanged, ConfigEntry, ConfigPatch } from "../contract/v1/config.ts";
export type { Access, EngineHealth, HostEvent, Live, LiveSandbox } from "../contract/v1/events.ts";
export type { ExplainWish, Verdict } from "../contract/v1/explain.ts";
export type { Controlled, Gpu, Host, Stats } from "../contract/v1/host.ts";
export type { PrefetchEvent, Prefetched, TaskFolder, TaskList } from "../contract/v1/images.ts";
export type { Job, JobDetail, JobList } from "../contract/v1/jobs.ts";
export type { DeadLetters, Fleet, FleetHost, Queue, Replayed, ReplayRequest } from "../contract/v1/queue.ts";
export type { Receipt, ReceiptEntry, ReceiptKey } from "../contract/v1/receipts.ts";
export type {
  LogChunk,
  LogTail,
  Sandbox,
  SandboxDetail,
  SandboxList,
  SandboxUsage,
  WaitingCall,
  WaitingList,
} from "../contract/v1/sandboxes.ts";
export type { Session, SessionList } from "../contract/v1/sessions.ts";
export type { Attestation, AttestInput } from "./attest.ts";
export type { CallAnswer, CallInput, CallStream } from "./call.ts";
export type { Abortable, RunWish } from "./client.ts";
export { HearthClient } from "./client.ts";
export type { HearthErrorCode } from "./error.ts";
export { HearthError } from "./error.ts";
export type { JobApiOptions, JobTask, JobTaskStatus, NewJobTask } from "./jobs.ts";
export { JOB_TASK_ENDS, JobApiClient } from "./jobs.ts";
export type { ClientOptions } from "./transport.ts";

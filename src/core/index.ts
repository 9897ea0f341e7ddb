export type { Admission, AdmitPolicy, AdmitView, Demand } from "./admission/admit.ts";
export { admit } from "./admission/admit.ts";
export type { ExpectedHolding } from "./admission/expect-room.ts";
export { expectRoom } from "./admission/expect-room.ts";
export { jobLimit } from "./admission/job-limit.ts";
export type { Holding, PlanRoomOptions, Room, Supply } from "./admission/plan-room.ts";
export { planRoom } from "./admission/plan-room.ts";
export { assertNever } from "./assert-never.ts";
export type { Reservation } from "./books/books.ts";
export { Books } from "./books/books.ts";
export type { ErrorKind, ErrorSpec } from "./error-register.ts";
export { ERRORS } from "./error-register.ts";
export type { ErrorCode, ErrorFacts } from "./errors.ts";
export { ExecutorError } from "./errors.ts";
export type { Card, CardHold, PlaceOptions, Rack } from "./gpus/rack.ts";
export {
  afterLeaving,
  cardsFor,
  cardsInReach,
  EMPTY_RACK,
  NOW,
  placeOnCards,
  SOON,
  withClaims,
} from "./gpus/rack.ts";
export type { Id, RunId, SandboxId, SessionId, TaskKey } from "./ids.ts";
export { asId } from "./ids.ts";
export { isolationRefusal } from "./isolation/isolation-refusal.ts";
export type { Judgement, Judging } from "./isolation/judge-class.ts";
export { judgeClass } from "./isolation/judge-class.ts";
export type { ProbeFindings } from "./isolation/probe-findings.ts";
export { readFindings } from "./isolation/probe-findings.ts";
export type { BookedEnd, BookedStatus, BookedTask, TaskNews } from "./jobs/booked-task.ts";
export { advanceTask, isBookedEnd, shownStatus } from "./jobs/booked-task.ts";
export type { DiskAnswer, DiskFacts, DiskLimits } from "./jobs/disk-room.ts";
export { diskAnswer, diskReserve } from "./jobs/disk-room.ts";
export { isSafeKey, isSafeSegment } from "./jobs/job-id.ts";
export type { JobEnd, JobState } from "./jobs/job-life.ts";
export { advanceJob, JOB_ENDS, JOB_STATES } from "./jobs/job-life.ts";
export { jobRefusal } from "./jobs/job-refusal.ts";
export type { AllowEntry } from "./network/allow-entry.ts";
export { formatAllowEntry, parseAllowEntry } from "./network/allow-entry.ts";
export type { Range } from "./network/ipv4.ts";
export {
  contains,
  formatAddress,
  formatRange,
  overlap,
  parseAddress,
  parseRange,
  sizeOf,
} from "./network/ipv4.ts";
export type { NetworkFindings, NetworkSettings } from "./network/network-settings.ts";
export { DEFAULT_NETWORK_SETTINGS, offerNetworks } from "./network/network-settings.ts";
export type { PolicyRanges } from "./network/policy-ranges.ts";
export { policyOf, policyRanges } from "./network/policy-ranges.ts";
export type {
  ArchiveEntry,
  ArchiveLimits,
  Archiver,
  ArtifactInfo,
  ArtifactKey,
  ArtifactStore,
  BorrowedArtifact,
  ByteRange,
  ByteSink,
  OpenArtifact,
  PackReport,
  StagedArtifact,
  WriteOptions,
  WrittenArtifact,
} from "./ports/artifacts.ts";
export type { BlobStore, BlobWrite } from "./ports/blobs.ts";
export type {
  AnswerHead,
  AnswerSink,
  BodySource,
  CallChannel,
  CallRequest,
  Exchange,
  OpenChannel,
} from "./ports/channel.ts";
export type { Clock } from "./ports/clock.ts";
export type {
  ClassReport,
  DriverCapabilities,
  DriverHealth,
  DriverSettings,
  Endpoint,
  Leftover,
  LimitKind,
  LogChunk,
  LogTail,
  NetworkReport,
  PeerAddress,
  ProbeSight,
  PullProgress,
  ResolvedImage,
  ResolveOptions,
  Sandbox,
  SandboxDriver,
  SandboxEnd,
  SandboxSpec,
  SandboxUsage,
  StartPhases,
} from "./ports/driver.ts";
export type { CardHandover, GpuHealth, GpuMonitor, GpuReading, HandoverAnswer } from "./ports/gpus.ts";
export { NO_GPUS } from "./ports/gpus.ts";
export type { HostCapacity, HostDisk, HostMonitor, HostUsage } from "./ports/host.ts";
export type {
  AllocationEnd,
  IndexifyEvent,
  IndexifyObserver,
  IndexifyOperation,
  WorkerVersions,
} from "./ports/indexify-observer.ts";
export {
  ALLOCATION_ENDS,
  INDEXIFY_EVENTS,
  INDEXIFY_OPERATIONS,
  NO_INDEXIFY_OBSERVER,
} from "./ports/indexify-observer.ts";
export type { FollowedEvent, JobProducer, NewRequest } from "./ports/job-producer.ts";
export type {
  JobDriver,
  JobLeftover,
  JobMark,
  JobSandbox,
  JobSandboxSpec,
  WorkDir,
} from "./ports/job-sandbox.ts";
export type {
  Claim,
  CommitResult,
  Completion,
  DeadLetter,
  FleetBoard,
  FleetHost,
  JobEvent,
  JobSource,
  SourceFigures,
  SourceState,
} from "./ports/job-source.ts";
export type { JobStory } from "./ports/job-story.ts";
export type { Journal, JournalEntry } from "./ports/journal.ts";
export type { Log, LogEvent, LogFields, LogLevel } from "./ports/log.ts";
export { LOG_EVENTS, LOG_LEVELS } from "./ports/log.ts";
export type {
  CallEnd,
  CallStory,
  CallTrace,
  EngineVerb,
  ObservedState,
  Observer,
  SandboxChange,
  StartStory,
  Tracer,
} from "./ports/observer.ts";
export { CALL_ENDS, ENGINE_VERBS, joinObservers, NO_OBSERVER } from "./ports/observer.ts";
export type {
  AttemptFilter,
  AttemptPlace,
  AttemptRecord,
  AttemptUse,
  ChainFault,
  ChainRange,
  ChainReport,
  Receipt,
  ReceiptKey,
  ReceiptLimits,
  ReceiptLog,
  ReceiptLogState,
  ReceiptSink,
} from "./ports/receipts.ts";
export type {
  NewRun,
  RunEnd,
  RunEnding,
  RunLimits,
  RunMark,
  RunPlacement,
  RunRecord,
  RunStore,
} from "./ports/records.ts";
export type { SandboxUse, UseSink } from "./ports/sandbox-use.ts";
export type { BookChange, BookedExecuter, TaskBook, TaskQuery } from "./ports/task-book.ts";
export type {
  WorkerBind,
  WorkerDriver,
  WorkerPurpose,
  WorkerSandbox,
  WorkerSpec,
} from "./ports/worker-sandbox.ts";
export type { AttemptFacts } from "./receipts/attempt-facts.ts";
export { attemptFacts } from "./receipts/attempt-facts.ts";
export type { AttemptTimes, StartTimes } from "./receipts/attempt-times.ts";
export { attemptPhases, toUs } from "./receipts/attempt-times.ts";
export type {
  AlikeIds,
  AttemptForm,
  BlockAttempts,
  BlockBody,
  BlockColumn,
  ColumnValues,
  Mark,
} from "./receipts/block.ts";
export { BLOCK_ATTEMPTS, BLOCK_COLUMNS } from "./receipts/block.ts";
export type { CanonicalValue } from "./receipts/canonical.ts";
export { canonical } from "./receipts/canonical.ts";
export type {
  AttemptDoor,
  AttemptEntry,
  AttemptPhase,
  Booked,
  ChainEntry,
  Checkpoint,
  ExportEnd,
  GapReason,
  MarkEntry,
  PhasesUs,
  Reading,
  Used,
} from "./receipts/entry.ts";
export { ATTEMPT_DOORS, ATTEMPT_PHASES, GAP_REASONS, READINGS } from "./receipts/entry.ts";
export { keptFacts, readFacts } from "./receipts/kept-facts.ts";
export { placeOf, ReadBlock } from "./receipts/read-block.ts";
export type { StartFailures } from "./retry/start-backoff.ts";
export { afterFailure, backoffLeftMs } from "./retry/start-backoff.ts";
export type { LifeEvent, LifeState, StopCause } from "./sandbox/life.ts";
export { advance, idleSince, isExpired, isIdle, isServing, STOP_CAUSES, slotsUsed } from "./sandbox/life.ts";
export { Secret } from "./secret.ts";
export type { DoorName, RuntimeClass, RuntimeSetting, Settings, Share } from "./settings.ts";
export { DOOR_NAMES, RUNTIME_CLASSES } from "./settings.ts";
export type { ImagePolicy } from "./task/image-policy.ts";
export { imagePolicy } from "./task/image-policy.ts";
export type { ImageReference } from "./task/image-reference.ts";
export { formatImageReference, parseImageReference } from "./task/image-reference.ts";
export type { IsolationClass } from "./task/isolation.ts";
export { ISOLATION_CLASSES, isIsolationClass, survivesFreeze } from "./task/isolation.ts";
export type { NetworkPolicy } from "./task/network-policy.ts";
export { isAtMost, isNetworkPolicy, NETWORK_POLICIES } from "./task/network-policy.ts";
export type { Outcome } from "./task/outcome.ts";
export { outcomeOf } from "./task/outcome.ts";
export type { Amounts, GpuWish, Resources, TaskResources } from "./task/resources.ts";
export { amountsOf, DEFAULT_RESOURCES, fits, MEBIBYTE, minus, NO_RESOURCES, plus } from "./task/resources.ts";
export { sgxConflict, withSgx } from "./task/sgx.ts";
export { taskKey } from "./task/task-key.ts";
export type { TaskSpec } from "./task/task-spec.ts";

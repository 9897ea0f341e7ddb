/** `error`: an operator must act. `warn`: we coped and it cost something. `info`: the state changed. `debug`: everything between. */
export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * All that is ever logged: `noun.verb` in the past tense, and its message, which is constant. Facts go into fields. Add a row
 * here first; never reuse a name for another thing.
 */
export const LOG_EVENTS = {
  "executor.started": "the executor takes calls",
  "executor.paused": "the executor takes no calls",
  "executor.unpaused": "the executor takes calls again",
  "executor.draining": "the executor stops: no new calls",
  "executor.stopped": "the executor has stopped",
  "executor.failed": "the executor could not go on",
  "config.loaded": "configuration read",
  "config.changed": "configuration changed while running",
  "config.refused": "a change of configuration was refused",
  "driver.opened": "sandbox driver ready",
  "driver.lost": "the sandbox driver's engine does not answer",
  "driver.regained": "the sandbox driver's engine answers again",
  "driver.missed": "a driver was tried and is not available",
  "driver.degraded": "the driver reached less than was asked for",
  "door.opened": "a door listens",
  "door.exposed": "a door listens beyond this host without a token",
  "door.closed": "a door no longer listens",
  "control.used": "a control action",
  "image.pulled": "image fetched",
  "image.refused": "image could not be fetched",
  "image.moved": "the tag names another image now",
  "sandbox.started": "sandbox ready",
  "sandbox.failed": "sandbox could not be started",
  "sandbox.warned": "sandbox came up with a remark",
  "sandbox.frozen": "idle sandbox frozen",
  "sandbox.thawed": "sandbox thawed",
  "sandbox.stopped": "sandbox removed",
  "sandbox.died": "sandbox ended by itself",
  "sandbox.adopted": "sandbox of an earlier life taken over",
  "sandbox.reaped": "orphan removed",
  "sandbox.leaked": "sandbox could not be removed; trying again",
  "job.started": "a job's command runs",
  "job.failed": "a job could not be started",
  "job.adopted": "a job of an earlier life was taken over",
  "job.ended": "a job's command has ended",
  "call.ended": "call ended",
  "call.refused": "call refused",
  "call.failed": "call failed for a defect of ours",
  "run.recorded": "run recorded",
  "run.lost": "a run of an earlier life ended with it",
  "receipts.failed": "receipts could not be written or read; attempts wait, up to a bound",
  "receipts.regained": "receipts are written again",
  "receipts.lost": "attempts ended that receipts have no room for; the chain will say how many",
  "receipts.renewed": "receipts of another key were set aside, and a new chain begun",
  "state.dumped": "what the executor holds and what waits, for whoever asked by signal",
  "state.failed": "the state directory could not be used",
  "isolation.probed": "an isolation class was tested",
  "isolation.unusable": "an isolation class cannot be used",
  "gpu.found": "GPUs found",
  "gpu.lost": "a GPU or its driver cannot be used",
  "gpu.regained": "a GPU can be used again",
  "session.opened": "a session was pinned to a sandbox",
  "session.ended": "a session ended",
  "firewall.failed": "the rules that keep tasks from the host and from private networks could not be set",
  "firewall.restored": "somebody had removed or changed those rules; they were set again",
  "network.swept": "unused task networks removed",
  "network.failed": "a task network could not be made or removed",
  "indexify.ready": "the Indexify server knows this executor",
  "indexify.unhealthy": "the Indexify server does not answer",
  "indexify.farewell": "the Indexify server could not be told that this executor ends",
  "indexify.poll-failed": "a poll of the Indexify server failed",
  "indexify.gap": "numbers are missing in a stream of the Indexify server; the state is sent anew",
  "indexify.command-refused": "a command of the Indexify server cannot be carried out as it is written",
  "indexify.answer-failed": "a worker could not be given what its function asked for",
  "indexify.report-dropped": "a report to the Indexify server was given up",
  "api.failed": "the web API could not do what a client asked for",
  "api.event-ignored": "an event of the stream is none that the web API knows",
  "api.exposed": "the web API listens beyond this host",
  "queue.connected": "the queue answers",
  "queue.away": "the queue does not answer; trying again",
  "queue.broken": "a stream of the queue cannot be read until somebody repairs it",
  "queue.repaired": "a stream of the queue can be read again",
  "queue.emptied":
    "the queue came back without its data: what waited in it is lost, what runs here is kept and reported",
  "queue.vanished": "entries were trimmed or deleted while they were held",
  "queue.remarked": "the queue's own settings can lose jobs",
  "claim.completed": "a job's end was recorded and told",
  "claim.released": "a job was handed back to the queue",
  "claim.lost": "a job is not this host's any more",
  "claim.dead": "a job was put aside",
  "claim.ignored": "a command for a job that nobody knows",
  "claim.troubled": "a step of a job failed",
  "executer.registered": "the API knows this executer",
  "executer.unregistered": "the API does not take this executer yet; trying again",
  "executer.terminated": "the queue was told that this executer ends",
  "fleet.away": "the other hosts could not be told of this one",
  "work-folder.swept": "work folders of an earlier life removed",
  "work-folder.kept": "work folders could not be removed",
} as const satisfies Record<string, string>;

export type LogEvent = keyof typeof LOG_EVENTS;

/** Facts about one event, named by our words. An `error` field takes anything thrown. Secrets never come in here. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where events go. Never throws and never blocks. */
export interface Log {
  log(level: LogLevel, event: LogEvent, fields?: LogFields): void;
}

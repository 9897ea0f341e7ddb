/**
 * Where a job that holds room is. `leftover`: an earlier life started it, and its door has not claimed it yet. `settling`: its
 * command has ended and its files are collected. `removing`: nothing of its sandbox is wanted any more.
 */
export const JOB_STATES = [
  "reserved",
  "starting",
  "running",
  "stopping",
  "settling",
  "removing",
  "leftover",
  "gone",
] as const;
export type JobState = (typeof JOB_STATES)[number];

const NEXT: Readonly<Record<JobState, readonly JobState[]>> = {
  reserved: ["starting", "gone"],
  starting: ["running", "gone"],
  running: ["stopping", "settling"],
  stopping: ["settling"],
  settling: ["removing"],
  removing: ["gone"],
  leftover: ["running", "removing"],
  gone: [],
};

/** @throws TypeError for a step that no job may take: a defect of whoever asks for it. */
export function advanceJob(from: JobState, to: JobState): JobState {
  if (!NEXT[from].includes(to)) throw new TypeError(`a job that is ${from} cannot become ${to}`);
  return to;
}

/**
 * How an attempt at a job ended. `done`: its command ended with 0; `exit`: with another code; `disk`: it wrote more than it may; `time`: its deadline; `killed`,
 * `drain`, `lease`: whoever ended it; `lost`: its sandbox was lost, and how its command ended is not known; `unstarted`: it
 * could not be started, or nobody wanted it any more; `unused`: its room was given back before its start.
 */
export const JOB_ENDS = [
  "done",
  "exit",
  "signal",
  "memory",
  "disk",
  "time",
  "killed",
  "drain",
  "lease",
  "lost",
  "unstarted",
  "unused",
] as const;
export type JobEnd = (typeof JOB_ENDS)[number];

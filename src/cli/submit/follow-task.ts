import type { HearthClient, JobApiClient, JobTask, JobTaskStatus } from "../../client/index.ts";
import { HearthError, JOB_TASK_ENDS } from "../../client/index.ts";
import { sleep } from "../../std/sleep.ts";
import type { Context } from "../command.ts";
import { formatDuration } from "../print.ts";
import { TaskOutput } from "../task-output.ts";

const LOOK_MS = 500;
/** How often in a row the API may be out of reach, at growing pauses, before that is an answer. */
const MISSES = 10;
const WORDS: Partial<Record<JobTaskStatus, string>> = {
  "pending-input": "waits for its input",
  submitted: "waits for a host",
  started: "runs",
  "pending-kill": "is being killed",
};

export function isOver(status: JobTaskStatus): boolean {
  return (JOB_TASK_ENDS as readonly JobTaskStatus[]).includes(status);
}

/**
 * Says what a task is doing until it is over. An API that is out of reach for a moment is asked again.
 *
 * @param onStatus told each status that is seen.
 */
export async function followTask(
  { io, isQuiet }: Pick<Context, "io" | "isQuiet">,
  api: JobApiClient,
  id: string,
  signal: AbortSignal,
  onStatus: (status: JobTaskStatus) => void,
): Promise<JobTask> {
  const startedAt = performance.now();
  let said = "";
  for (let misses = 0; ; ) {
    try {
      const task = await api.task(id, { signal });
      misses = 0;
      onStatus(task.status);
      if (isOver(task.status)) {
        io.status("");
        return task;
      }
      const word = WORDS[task.status] ?? task.status;
      if (io.isErrTty && !isQuiet)
        io.status(`${id}: ${word} (${formatDuration(performance.now() - startedAt)})`);
      else if (word !== said && !isQuiet) io.err(`hearth: ${id} ${word}`);
      said = word;
    } catch (error) {
      const isPassing = error instanceof HearthError && error.retry === "later";
      misses += 1;
      if (!isPassing || misses > MISSES) throw error;
    }
    await sleep(LOOK_MS * (1 + misses), signal);
  }
}

/**
 * Prints what a task prints while it runs, for as long as the signal lets it, if the daemon that has it can be asked. Not knowing is
 * no failure: the status is told all the same.
 *
 * @param onText told that something was printed.
 */
export async function printLiveLog(
  { io }: Pick<Context, "io">,
  daemon: HearthClient,
  id: string,
  signal: AbortSignal,
  onText: () => void,
): Promise<void> {
  const output = new TaskOutput(io);
  try {
    const sandboxId = await findSandbox(daemon, id, signal);
    for await (const chunk of daemon.followLogs(sandboxId, { tailBytes: 65_536, signal })) {
      onText();
      await output.print(chunk.text);
    }
    await output.end();
  } catch {
    // No daemon here, one that does not tell this caller, a task on another host; or the task is over.
  }
}

async function findSandbox(daemon: HearthClient, id: string, signal: AbortSignal): Promise<string> {
  for (;;) {
    const found = await daemon.queue({ signal }).then(
      ({ jobs }) => jobs.find((job) => job.jobId === id)?.sandboxId,
      (error: unknown) => {
        // A daemon that starts, or is away for a moment.
        if (!(error instanceof HearthError && error.retry === "later")) throw error;
      },
    );
    if (found !== undefined) return found;
    await sleep(LOOK_MS / 2, signal);
  }
}

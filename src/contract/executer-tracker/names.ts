/** The names in Redis that contract and ancestors agree on (sections 4 and 6). */
export const EVENTS_STREAM = "events";
export const DEFAULT_GROUP = "all_consumers";

/** The stream that requests of one executer type go to, unless a registration says otherwise. */
export function requestStreamOf(executerType: string): string {
  return `${executerType}_requests`;
}

/** The lists on which a task's commands may come: the name flipped three times in 2023, so both are listened to. */
export function commandKeysOf(taskId: string): readonly [string, string] {
  return [`task:${taskId}:commands`, `task:${taskId}:events`];
}

/** The one command that there is. */
export const KILL = "kill";

export const INPUT_FILE = "input.zip";
export const OUTPUT_FILE = "output.zip";

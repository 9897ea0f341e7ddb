/** How the task's own code answered one call: any HTTP status it chose, a success or not. Never an error of ours. */
export interface Outcome {
  readonly status: number;
  readonly isSuccess: boolean;
}

/** A task says that it succeeded by a 2xx status. */
export function outcomeOf(status: number): Outcome {
  return { status, isSuccess: status >= 200 && status <= 299 };
}

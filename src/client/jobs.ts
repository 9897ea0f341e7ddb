import type { Abortable } from "./client.ts";
import { HearthError } from "./error.ts";

/** Where the web API is, and the key that it wants. */
export interface JobApiOptions {
  /** Such as `http://127.0.0.1:8000`. */
  readonly baseUrl: string;
  readonly key: string;
  /** Stands in for the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
}

export const JOB_TASK_ENDS = [
  "success",
  "failed",
  "killed",
  "executer-failed",
  "executer-terminated",
  "spot-instance-preempted",
] as const;
export type JobTaskStatus =
  | "pending-input"
  | "submitted"
  | "started"
  | "pending-kill"
  | (typeof JOB_TASK_ENDS)[number];

/** A task as the web API shows it, by its own names (`contracts/executer-tracker.md` section 8). */
export interface JobTask {
  readonly task_id: string;
  readonly status: JobTaskStatus;
  readonly method_name: string;
  readonly create_time: string | null;
  readonly input_submit_time: string | null;
  readonly start_time: string | null;
  readonly end_time: string | null;
  readonly executer: Readonly<Record<string, unknown>> | null;
  readonly detail?: string | null;
  readonly exit_code?: number | null;
}

/** What is asked for; the input follows. */
export interface NewJobTask {
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly resourcePool?: string | undefined;
}

/**
 * The web API that `hearth api` serves: tasks in, results out. Every method rejects with a {@link HearthError}, or with the reason of
 * its signal.
 */
export class JobApiClient {
  readonly #options: JobApiOptions;

  constructor(options: JobApiOptions) {
    this.#options = options;
  }

  /** A new task, which waits for its input. */
  async submit(task: NewJobTask, { signal }: Abortable = {}): Promise<{ readonly id: string }> {
    const { method, params, resourcePool } = task;
    const body = JSON.stringify({ method, params, resource_pool: resourcePool ?? null });
    const headers = { "content-type": "application/json" };
    return await this.#json("/tasks/submit", { method: "POST", headers, body }, signal);
  }

  /** The task's input, a zip archive; from then on it waits for a host. */
  async uploadInput(id: string, archive: Blob, { signal }: Abortable = {}): Promise<void> {
    const body = new FormData();
    body.set("file", archive, "input.zip");
    await this.#json(`${taskPath(id)}/input`, { method: "POST", body }, signal);
  }

  task(id: string, { signal }: Abortable = {}): Promise<JobTask> {
    return this.#json(taskPath(id), {}, signal);
  }

  /** The newest first; pages count from 1. */
  tasks({
    page,
    perPage,
    status,
    signal,
  }: Abortable & {
    readonly page?: number | undefined;
    readonly perPage?: number | undefined;
    readonly status?: JobTaskStatus | undefined;
  } = {}): Promise<readonly JobTask[]> {
    const query = new URLSearchParams();
    if (page !== undefined) query.set("page", String(page));
    if (perPage !== undefined) query.set("per_page", String(perPage));
    if (status !== undefined) query.set("status", status);
    return this.#json(`/tasks?${query.toString()}`, {}, signal);
  }

  /** Safe to repeat. @returns the status that it has now. */
  async kill(id: string, { signal }: Abortable = {}): Promise<JobTaskStatus> {
    const { status } = await this.#json<{ readonly status: JobTaskStatus }>(
      `${taskPath(id)}/kill`,
      { method: "POST" },
      signal,
    );
    return status;
  }

  /** The output, a zip archive: all of it, or just the named artifacts. */
  async output(
    id: string,
    { files = [], signal }: Abortable & { readonly files?: readonly string[] } = {},
  ): Promise<ReadableStream<Uint8Array>> {
    const query = new URLSearchParams(files.map((file): [string, string] => ["filename", file]));
    const path = files.length === 0 ? `${taskPath(id)}/output` : `${taskPath(id)}/output?${query.toString()}`;
    const response = await this.#send(path, {}, signal);
    if (response.body === null) throw new HearthError("UNEXPECTED", "the output has no body");
    return response.body;
  }

  async #json<T>(path: string, init: RequestInit, signal: AbortSignal | undefined): Promise<T> {
    const response = await this.#send(path, init, signal);
    try {
      return (await response.json()) as T;
    } catch (cause) {
      if (signal?.aborted === true) throw signal.reason;
      throw new HearthError("UNEXPECTED", "the answer is not JSON", { status: response.status, cause });
    }
  }

  async #send(path: string, init: RequestInit, signal: AbortSignal | undefined): Promise<Response> {
    const { baseUrl, key } = this.#options;
    const headers = new Headers(init.headers);
    headers.set("x-api-key", key);
    let response: Response;
    try {
      response = await (this.#options.fetch ?? fetch)(new URL(path, baseUrl), {
        ...init,
        headers,
        redirect: "error",
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (cause) {
      if (signal?.aborted === true) throw signal.reason;
      throw new HearthError("UNREACHABLE", `no answer from the web API at ${baseUrl}`, {
        retry: "later",
        facts: { service: "api" },
        cause,
      });
    }
    if (response.ok) return response;
    throw await refusalOf(response);
  }
}

function taskPath(id: string): string {
  return `/tasks/${encodeURIComponent(id)}`;
}

/** What a refusal says: a sentence, or a fault for each field. */
async function refusalOf(response: Response): Promise<HearthError> {
  const { status } = response;
  const text = await response.text().catch(() => ""); // a body that breaks off: the status alone has to do
  const said = detailOf(text) ?? `status ${status}`;
  if (status === 403)
    return new HearthError("UNEXPECTED", `the web API refuses the key: ${said}`, { status });
  if (status === 404) return new HearthError("JOB_NOT_FOUND", said, { status });
  if (status === 400 || status === 422) return new HearthError("INPUT_INVALID", said, { status });
  if (status === 413) return new HearthError("BODY_TOO_LARGE", said, { status });
  const retry = status >= 500 ? "later" : "never";
  return new HearthError("UNEXPECTED", `the web API answered ${status}: ${said}`, { status, retry });
}

function detailOf(text: string): string | undefined {
  try {
    const { detail } = JSON.parse(text) as { readonly detail?: unknown };
    if (typeof detail === "string") return detail;
    if (!Array.isArray(detail)) return undefined;
    const faults = detail as readonly { readonly loc?: readonly unknown[]; readonly msg?: unknown }[];
    return faults.map(({ loc, msg }) => `${(loc ?? []).join(".")}: ${String(msg)}`).join("; ");
  } catch {
    return undefined;
  }
}

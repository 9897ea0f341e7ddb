import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The ten statuses that the client of 2023 knows; any other raises there, and here. */
const STATUSES = [
  "pending-input",
  "submitted",
  "started",
  "success",
  "failed",
  "pending-kill",
  "killed",
  "executer-failed",
  "executer-terminated",
  "spot-instance-preempted",
];
const ENDS = STATUSES.filter(
  (status) => !["pending-input", "submitted", "started", "pending-kill"].includes(status),
);
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}\+00:00$/;

/** An answer byte for byte: header names and values as they were sent. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/**
 * The `inductiva` client of August 2023 as section 8 of the contract describes it, with its traps: it compares content types as
 * whole texts, takes no other success code than the one listed, and raises on a status that it does not know.
 */
export class Client2023 {
  readonly baseUrl: string;
  readonly key: string;

  constructor(baseUrl: string, key = "1234") {
    this.baseUrl = baseUrl;
    this.key = key;
  }

  async submit(method: string, params: unknown = {}, pool: string | null = null): Promise<string> {
    const body = JSON.stringify({ method, params, resource_pool: pool });
    const answer = await this.raw("POST", "/tasks/submit", { "content-type": "application/json" }, body);
    const { id, status } = json(answer, 202) as TaskStatusBody;
    // It uploads only for exactly this one.
    if (status !== "pending-input") throw new Error(`submitted as ${status}`);
    return id;
  }

  async upload(id: string, zip: Buffer): Promise<string> {
    const boundary = "d41d8cd98f00b204e9800998ecf8427e";
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="input.zip"\r\nContent-Type: application/octet-stream\r\n\r\n`;
    const body = Buffer.concat([Buffer.from(head), zip, Buffer.from(`\r\n--${boundary}--\r\n`)]);
    const type = `multipart/form-data; boundary=${boundary}`;
    return statusOf(await this.raw("POST", `/tasks/${id}/input`, { "content-type": type }, body));
  }

  async status(id: string): Promise<string> {
    return statusOf(await this.raw("GET", `/tasks/${id}/status`));
  }

  /** It sends no body here, and no type. */
  async kill(id: string): Promise<string> {
    return statusOf(await this.raw("POST", `/tasks/${id}/kill`));
  }

  /** A core function: polls for exactly `started`, and only then for its end. */
  async waitAsCoreFunction(id: string, deadlineMs = 60_000): Promise<string> {
    await this.#poll(id, (status) => status === "started", 50, deadlineMs);
    return await this.#poll(id, (status) => status === "success" || status === "failed", 50, deadlineMs);
  }

  /** `Task.wait`. */
  async wait(id: string, deadlineMs = 60_000): Promise<string> {
    return await this.#poll(id, (status) => ENDS.includes(status), 100, deadlineMs);
  }

  async output(id: string, filenames: readonly string[] = []): Promise<Buffer> {
    const query = filenames.map((name) => `filename=${encodeURIComponent(name)}`).join("&");
    const answer = await this.raw("GET", `/tasks/${id}/output${query === "" ? "" : `?${query}`}`);
    if (answer.status !== 200) throw new Error(`output: ${answer.status} ${answer.body.toString()}`);
    if (answer.headers["content-type"] !== "application/octet-stream")
      throw new Error(`the output is ${answer.headers["content-type"]}`);
    // It would write a file of that name into its temporary folder.
    if (answer.headers["content-disposition"] !== undefined) throw new Error("the output names a file");
    return answer.body;
  }

  async outputList(id: string): Promise<{
    readonly size: number;
    readonly contents: readonly {
      readonly name: string;
      readonly size: number;
      readonly compressed_size: number;
    }[];
  }> {
    return json(await this.raw("GET", `/tasks/${id}/output/list`), 200) as never;
  }

  async task(id: string): Promise<Task2023> {
    return checkTask(json(await this.raw("GET", `/tasks/${id}`), 200));
  }

  async tasks(query = ""): Promise<readonly Task2023[]> {
    const found = json(await this.raw("GET", `/tasks${query}`), 200) as unknown[];
    return found.map(checkTask);
  }

  /** One request with the key; nothing about the answer is judged. */
  raw(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>> = {},
    body: Buffer | string = "",
  ): Promise<RawAnswer> {
    return send(method, new URL(path, this.baseUrl), { "x-api-key": this.key, ...headers }, body);
  }

  async #poll(
    id: string,
    isThere: (status: string) => boolean,
    everyMs: number,
    deadlineMs: number,
  ): Promise<string> {
    const startedAtMs = performance.now();
    for (;;) {
      const status = await this.status(id);
      if (isThere(status)) return status;
      if (performance.now() - startedAtMs > deadlineMs)
        throw new Error(`${id} is ${status} after ${deadlineMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }
}

export interface Task2023 {
  readonly task_id: string;
  readonly status: string;
  readonly method_name: string;
  readonly create_time: string | null;
  readonly input_submit_time: string | null;
  readonly start_time: string | null;
  readonly end_time: string | null;
  readonly executer: Readonly<Record<string, unknown>> | null;
}

interface TaskStatusBody {
  readonly id: string;
  readonly status: string;
}

/** One request over a connection of its own; the answer as it came. */
export function send(
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: Buffer | string,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const length = Buffer.byteLength(body);
    const withLength = length === 0 && method === "GET" ? {} : { "content-length": String(length) };
    const outgoing = request(
      url,
      { method, headers: { ...headers, ...withLength }, agent: false },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.once("error", reject);
        incoming.once("end", () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    outgoing.once("error", reject);
    outgoing.end(body);
  });
}

/** Exactly this success code and exactly this type: another one leaves the body unread there. */
export function json(answer: RawAnswer, status: number): unknown {
  if (answer.status !== status) throw new Error(`status ${answer.status}: ${answer.body.toString()}`);
  if (answer.headers["content-type"] !== "application/json")
    throw new Error(`content type ${answer.headers["content-type"]}`);
  return JSON.parse(answer.body.toString());
}

function statusOf(answer: RawAnswer): string {
  const { status } = json(answer, 200) as TaskStatusBody;
  if (!STATUSES.includes(status)) throw new Error(`there is no status ${status}`);
  return status;
}

function checkTask(body: unknown): Task2023 {
  const task = body as Task2023;
  if (!STATUSES.includes(task.status)) throw new Error(`there is no status ${task.status}`);
  for (const name of ["create_time", "input_submit_time", "start_time", "end_time"] as const) {
    const time = task[name];
    if (time !== null && !TIMESTAMP.test(time)) throw new Error(`${name} is ${time}`);
  }
  for (const name of ["task_id", "method_name"] as const)
    if (typeof task[name] !== "string") throw new Error(`${name} is missing`);
  return task;
}

/** What the client packs, made by Python's own zip library: `input.json` and whatever lies beside it. */
export function packInput(files: Readonly<Record<string, string | Buffer>>): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "hearth-2023-"));
  try {
    const names = Object.keys(files);
    for (const [index, name] of names.entries())
      writeFileSync(join(folder, String(index)), files[name] ?? "");
    const script = [
      "import json, sys, zipfile",
      "names = json.loads(sys.argv[2])",
      "with zipfile.ZipFile(sys.argv[1] + '/made.zip', 'w', zipfile.ZIP_DEFLATED) as archive:",
      "    for index, name in enumerate(names): archive.write(sys.argv[1] + '/' + str(index), name)",
      "sys.stdout.buffer.write(open(sys.argv[1] + '/made.zip', 'rb').read())",
    ].join("\n");
    return execFileSync("python3", ["-c", script, folder, JSON.stringify(names)]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * What the client does with an output: a whole archive must have `artifacts/` and `output.json`, of which it unpacks the artifacts
 * without that prefix. Read by Python's own zip library.
 */
export function readOutput(zip: Buffer): {
  readonly names: readonly string[];
  readonly texts: Record<string, string>;
} {
  const folder = mkdtempSync(join(tmpdir(), "hearth-2023-"));
  try {
    writeFileSync(join(folder, "output.zip"), zip);
    const script = [
      "import json, sys, zipfile",
      "archive = zipfile.ZipFile(sys.argv[1])",
      "assert archive.testzip() is None",
      "texts = {n: archive.read(n).decode('latin-1') for n in archive.namelist() if not n.endswith('/')}",
      "print(json.dumps({'names': archive.namelist(), 'texts': texts}))",
    ].join("\n");
    return JSON.parse(
      execFileSync("python3", ["-c", script, join(folder, "output.zip")]).toString(),
    ) as never;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

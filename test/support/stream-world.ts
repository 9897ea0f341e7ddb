import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEvent, type TrackerEvent } from "../../src/contract/executer-tracker/index.ts";
import { zipArchiver } from "../../src/std/archive/index.ts";
import { poll } from "./poll.ts";
import type { PrivateRedis } from "./private-redis.ts";
import { openPrivateRedis } from "./private-redis.ts";
import { outputOf } from "./run-program.ts";
import type { Daemon, DaemonOptions } from "./start-daemon.ts";
import { startDaemon } from "./start-daemon.ts";

/** What a bulky result holds: enough that packing it takes a while, in plain text. */
export const BULK_BYTES = 12 * 1024 * 1024;

/** What a test's jobs can do: each is one shell script of the executer, by method. */
export const SCRIPTS = {
  "test.copy":
    "mkdir -p output/artifacts && cp in.txt output/artifacts/out.txt && echo '[1]' > output/output.json && echo said && echo cried >&2",
  "test.nothing": "true",
  "test.noop": "mkdir output && echo '[]' > output/output.json",
  "test.exit":
    "mkdir -p output/artifacts; echo partial > output/artifacts/p.txt; echo said; echo cried >&2; exit $(cat code)",
  "test.sleep":
    "mkdir -p output/artifacts; echo said; echo begun > output/artifacts/begun.txt; sleep $(cat seconds) & wait $!; echo done > output/artifacts/done.txt",
  "test.stubborn":
    "trap '' TERM; (sleep $(cat seconds)) & setsid sleep $(cat seconds) & touch begun; wait; sleep $(cat seconds)",
  "test.polite":
    "trap 'mkdir -p output/artifacts; echo bye > output/artifacts/bye.txt; exit 0' TERM; touch begun; sleep 600 & wait",
  "test.links":
    "mkdir -p output/artifacts; ln -s /etc/passwd output/artifacts/passwd; ln -s / output/artifacts/root; echo '[]' > output/output.json",
  "test.where":
    'mkdir -p output; pwd > output/pwd.txt; ls > output/ls.txt; echo "$COLOUR $HEARTH_JOB_ID $HEARTH_ATTEMPT" > output/env.txt',
  "test.late": "mkdir -p output; sleep $(cat seconds); exit 7",
  "test.talk":
    "echo said; echo cried >&2; touch begun; while ! test -e go; do sleep 0.05; done; echo last words",
  "test.bulky": `mkdir -p output/artifacts; head -c ${(BULK_BYTES / 4) * 3} /dev/urandom | base64 -w 0 > output/artifacts/bulk.txt`,
  // As many bytes as `random` says that nothing makes shorter, then 16 MiB, as often as `repeats` says, that are.
  "test.large":
    "mkdir -p output/artifacts; cd output/artifacts; head -c $(cat ../../random) /dev/urandom > large.bin; " +
    "head -c 16384 /dev/urandom > ../../block; for _ in 1 2 3 4 5 6 7 8 9 10; do cat ../../block ../../block > ../../twice; mv ../../twice ../../block; done; " +
    "for _ in $(seq $(cat ../../repeats)); do cat ../../block >> large.bin; done; sha256sum < large.bin",
  "test.environment": "mkdir -p output; env > output/env.txt",
  "test.count": "mkdir -p output; echo '[]' > output/output.json; sleep 0.05",
} as const;

export type Method = keyof typeof SCRIPTS;

/** A store that is no folder of this host. */
export interface RemoteStore {
  /** As hosts are told. */
  readonly uri: string;
  put(key: string, fromPath: string): Promise<void>;
  get(key: string, toPath: string): Promise<void>;
}

export interface StreamWorldOptions {
  readonly hasAof?: boolean;
  /** Further arguments of the server, such as addresses besides the loopback. */
  readonly redisArgs?: readonly string[];
  /** Images or task folders by type, instead of one `shell` type. */
  readonly types?: Readonly<Record<string, unknown>>;
  /** Where files of jobs are instead of in the world's own folder, which then has copies. */
  readonly remote?: RemoteStore;
}

export interface SubmitOptions {
  readonly id?: string;
  readonly type?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly fields?: Readonly<Record<string, string>>;
  /** Instead of a real archive; `null` writes none. */
  readonly zip?: Uint8Array | null;
}

const LIMITS = { entries: 1e6, totalBytes: 1e9, ratio: 1e6, depth: 64, nameBytes: 1024, deadlineMs: 60_000 };

/** A queue, a store and hosts on it: everything but the API. */
export class StreamWorld implements AsyncDisposable {
  readonly redis: PrivateRedis;
  readonly folder: string;
  readonly store: string;
  readonly #remote: RemoteStore | undefined;
  readonly #daemons: Daemon[] = [];
  #made = 0;

  private constructor(redis: PrivateRedis, folder: string, remote: RemoteStore | undefined) {
    this.redis = redis;
    this.#remote = remote;
    this.folder = folder;
    this.store = join(folder, "store");
  }

  static async open(options: StreamWorldOptions = {}): Promise<StreamWorld> {
    const folder = await mkdtemp(join(tmpdir(), "hearth-stream-"));
    const redis = await openPrivateRedis({
      hasAof: options.hasAof === true,
      args: options.redisArgs ?? [],
    });
    const world = new StreamWorld(redis, folder, options.remote);
    await mkdir(world.store);
    await mkdir(join(folder, "tasks/shell/scripts"), { recursive: true });
    await writeFile(join(folder, "tasks/shell/task.json"), JSON.stringify({ id: "shell", mode: "job" }));
    await writeFile(join(folder, "images.json"), JSON.stringify(options.types ?? { shell: "shell" }));
    await writeFile(join(folder, "methods.json"), JSON.stringify(world.methods()));
    return world;
  }

  methods(): Record<string, readonly string[]> {
    const rows = Object.entries(SCRIPTS).map(([method, text]) => [method, ["/bin/sh", "-c", text]] as const);
    return { ...Object.fromEntries(rows), "test.missing": ["/scripts/none.sh"] };
  }

  /** A host on the process driver; its shared folder goes with its state folder. */
  async startHost(name: string, config = "", options: DaemonOptions = {}): Promise<Daemon> {
    const daemon = await startDaemon({
      ...options,
      stateDir: options.stateDir ?? join(this.folder, name),
      config: `${this.config(name)}\n${config}`,
    });
    this.#daemons.push(daemon);
    return daemon;
  }

  config(name: string, more: Readonly<Record<string, unknown>> = {}): string {
    const stream = {
      images_file: join(this.folder, "images.json"),
      methods_file: join(this.folder, "methods.json"),
      artifact_store: this.#remote?.uri ?? this.store,
      registration: "none",
      metadata_host: "none",
      host_name: name,
      cpu: 0.1,
      mem: 64,
      lease_s: 4,
      kill_grace_s: 2,
      fleet_s: 1,
      redis: { host: "127.0.0.1", port: this.redis.port },
      ...more,
    };
    return [
      "driver: process",
      "process: { network: host }",
      "drain_timeout_s: 3",
      `tasks: { dirs: [${JSON.stringify(join(this.folder, "tasks"))}] }`,
      `stream: ${JSON.stringify(stream)}`,
    ].join("\n");
  }

  /** Puts a job on its stream. @returns its id. */
  async submit(method: Method | (string & {}), options: SubmitOptions = {}): Promise<string> {
    this.#made += 1;
    const id = options.id ?? `job${this.#made}`;
    await this.writeInput(id, options);
    await this.add(options.type ?? "shell", { id, task_dir: `t/${id}`, method, ...options.fields });
    return id;
  }

  async add(type: string, fields: Readonly<Record<string, string>>): Promise<void> {
    const all = Object.entries({ executer_type: type, ...fields }).flat();
    await this.redis.ask("XADD", `${type}_requests`, "*", ...all);
  }

  async writeInput(id: string, { files = {}, zip }: SubmitOptions = {}): Promise<void> {
    const dir = join(this.store, "t", id);
    await mkdir(dir, { recursive: true });
    const path = join(dir, "input.zip");
    if (zip === null) return;
    if (zip === undefined) await this.#packInput(path, files);
    else await writeFile(path, zip);
    await this.#remote?.put(`t/${id}/input.zip`, path);
  }

  async #packInput(path: string, files: Readonly<Record<string, string>>): Promise<void> {
    const source = await mkdtemp(join(this.folder, "input-"));
    for (const [name, text] of Object.entries({ "input.json": "{}", ...files })) {
      await writeFile(join(source, name), text);
    }
    await zipArchiver.pack(source, path, LIMITS, {}, AbortSignal.timeout(60_000));
    await rm(source, { recursive: true });
  }

  async kill(id: string, message = "kill", list = "commands"): Promise<void> {
    await this.redis.ask("LPUSH", `task:${id}:${list}`, message);
  }

  /** Every event so far, each of its own shape: one that is not is an error. */
  async events(): Promise<TrackerEvent[]> {
    const rows = (await this.redis.ask("XRANGE", "events", "-", "+")) as [string, string[]][];
    return rows.map(([id, fields]) => {
      const at = (name: string): string | undefined => fields[fields.indexOf(name) + 1];
      const event = parseEvent({ type: at("type"), json: at("json") });
      if (event === undefined) throw new Error(`entry ${id} is no event: ${fields.join(" ")}`);
      return event;
    });
  }

  async eventsOf(id: string): Promise<TrackerEvent[]> {
    const all = await this.events();
    return all.filter(({ json }) => ("id" in json && json.id === id) || stopped(json).includes(id));
  }

  /** Waits for the one event that ends a job. */
  async ending(id: string, deadlineMs = 60_000): Promise<TrackerEvent> {
    let found: TrackerEvent | undefined;
    await poll(
      `job ${id} is over`,
      async () => {
        const events = await this.eventsOf(id);
        found = events.find(({ type }) =>
          ["TaskCompleted", "TaskKilled", "ExecuterTerminated"].includes(type),
        );
        return found !== undefined || `${events.map(({ type }) => type).join()}\n${this.logs().slice(-3000)}`;
      },
      deadlineMs,
    );
    return found!;
  }

  async waitFor(id: string, type: TrackerEvent["type"]): Promise<void> {
    await poll(`${type} of ${id}`, async () => {
      const events = await this.eventsOf(id);
      return events.some((event) => event.type === type) || this.logs().slice(-3000);
    });
  }

  logs(): string {
    return this.#daemons.map(logOf).join("\n----\n");
  }

  /** The members of a job's result, and the text of each file. */
  async output(id: string): Promise<Record<string, string>> {
    const zip = await this.outputZip(id);
    const code =
      "import sys,zipfile,json\nz=zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n" +
      "print(json.dumps({n: z.read(n).decode() for n in z.namelist()}))";
    return JSON.parse(await outputOf("python3", ["-c", code, zip])) as Record<string, string>;
  }

  /** The same for results that are too long for a text: of each file its length and its SHA-256, read piece by piece. */
  async outputDigests(id: string): Promise<Record<string, readonly [bytes: number, sha256: string]>> {
    const code = [
      "import sys,zipfile,json,hashlib",
      "def digest(f):",
      "  h, n = hashlib.sha256(), 0",
      "  while piece := f.read(1 << 20): h.update(piece); n += len(piece)",
      "  return n, h.hexdigest()",
      "z = zipfile.ZipFile(sys.argv[1])",
      "print(json.dumps({n: digest(z.open(n)) for n in z.namelist()}))",
    ].join("\n");
    const zip = await this.outputZip(id);
    return JSON.parse(await outputOf("python3", ["-c", code, zip], { timeoutMs: 120_000 })) as never;
  }

  /** Where a job's result is on this host, or a copy of it. */
  async outputZip(id: string): Promise<string> {
    const path = join(this.store, "t", id, "output.zip");
    await this.#remote?.get(`t/${id}/output.zip`, path);
    return path;
  }

  /** What the queue says of every entry that somebody holds: who, and how often it was handed out. */
  async held(type = "shell"): Promise<readonly { readonly consumer: string; readonly deliveries: number }[]> {
    const rows = await this.redis.ask("XPENDING", `${type}_requests`, "all_consumers", "-", "+", "100");
    return (rows as [string, string, number, number][]).map(([, consumer, , deliveries]) => ({
      consumer,
      deliveries,
    }));
  }

  async pending(type = "shell"): Promise<number> {
    const [count] = (await this.redis.ask("XPENDING", `${type}_requests`, "all_consumers")) as [number];
    return count;
  }

  async readStore(path: string): Promise<string> {
    return await readFile(join(this.store, path), "utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#daemons.map((daemon) => daemon[Symbol.asyncDispose]()));
    await this.redis[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** Empty for one that is gone, and its files with it. */
function logOf(daemon: Daemon): string {
  try {
    return daemon.log();
  } catch {
    return "";
  }
}

function stopped(json: TrackerEvent["json"]): readonly string[] {
  return "stopped_tasks" in json && Array.isArray(json.stopped_tasks) ? (json.stopped_tasks as string[]) : [];
}

import Docker from "dockerode";
import { freshName } from "./fresh-name.ts";
import { buildTaskImage } from "./images.ts";
import type { PrivateEngine, PrivateEngineOptions } from "./private-engine.ts";
import { openPrivateEngine } from "./private-engine.ts";
import { rangeOf } from "./range-of.ts";
import { outputOf } from "./run-program.ts";
import type { Daemon, DaemonOptions } from "./start-daemon.ts";
import { startDaemon } from "./start-daemon.ts";

/** One container as the engine tells of it. */
export interface SeenContainer {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  /** `created`, `running`, `paused`, `exited`, … */
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A daemon on the test's own engine. */
export interface HostedDaemon extends Daemon {
  readonly owner: string;
}

/** An engine of a test's own, with a task image in it, on which a test starts its daemons. */
export interface TestHost extends AsyncDisposable {
  readonly engine: PrivateEngine;
  readonly docker: Docker;
  /** A task that obeys its input: see {@link OBEY}. */
  readonly task: string;
  /** The same task under another name, so another image. */
  taskCalled(name: string): Promise<string>;
  /** Runs a command in a container and returns what it prints. @throws when it ends with anything but 0. */
  exec(containerId: string, ...command: string[]): Promise<string>;
  /** Starts a daemon under an owner of its own. */
  start(options?: DaemonOptions): Promise<HostedDaemon>;
  /** The task containers of a daemon, or all its containers, in one atomic look at the engine. */
  containers(daemon: { readonly owner: string }, kind?: "sandbox" | "any"): Promise<readonly SeenContainer[]>;
}

const MARK = "echo meca-init-done";
const SERVE_BESIDE = `nc -ll -p 8080 -e /handler & server=$!
until nc -w 1 127.0.0.1 8080 </dev/null >/dev/null 2>&1; do sleep 0.01; done`;

/**
 * `sleep N` answers after N seconds, `hold` once another call has said `release`, everything else at once; the answer is the
 * input.
 */
const OBEY = {
  main: `echo obey begins; ${SERVE_BESIDE}; ${MARK}; wait $server`,
  reply: `case "$body" in
  "sleep "*) sleep "\${body#sleep }" ;;
  hold) until [ -e /tmp/released ]; do sleep 0.05; done ;;
  release) : > /tmp/released ;;
esac`,
};

export async function openTestHost(options?: PrivateEngineOptions): Promise<TestHost> {
  const engine = await openPrivateEngine(options);
  const docker = new Docker({ socketPath: engine.socketPath });
  try {
    const task = await buildTaskImage(docker, "obey", OBEY);
    return {
      engine,
      docker,
      task,
      taskCalled: (name) => buildTaskImage(docker, name, OBEY),
      exec: (containerId, ...command) =>
        outputOf("docker", ["exec", containerId, ...command], {
          env: { DOCKER_HOST: `unix://${engine.socketPath}` },
        }),
      start: (more = {}) => startOn(engine, more),
      containers: (daemon, kind = "sandbox") => look(docker, daemon.owner, kind),
      [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
    };
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

async function startOn(engine: PrivateEngine, options: DaemonOptions): Promise<HostedDaemon> {
  const owner = options.env?.["HEARTH_DOCKER_OWNER"] ?? freshName("owner");
  const env = {
    DOCKER_HOST: `unix://${engine.socketPath}`,
    HEARTH_DOCKER_OWNER: owner,
    HEARTH_DOCKER_NETWORK_RANGE: rangeOf(owner, 24),
    ...options.env,
  };
  const daemon = await startDaemon({ ...options, env });
  return Object.assign(daemon, { owner });
}

async function look(
  docker: Docker,
  owner: string,
  kind: "sandbox" | "any",
): Promise<readonly SeenContainer[]> {
  const label = [`hearth.owner=${owner}`, ...(kind === "any" ? [] : [`hearth.kind=${kind}`])];
  const rows = await docker.listContainers({ all: true, filters: { label } });
  return rows.map((row) => ({
    id: row.Id,
    name: (row.Names[0] ?? "").slice(1),
    image: row.Image,
    state: row.State,
    labels: row.Labels,
  }));
}

import Docker from "dockerode";
import { expect } from "vitest";
import { LABEL, ownerLabel } from "../../src/drivers/docker/container/labels.ts";
import { Caller, SECRET_CANARY } from "./caller.ts";
import { freshName } from "./fresh-name.ts";
import { buildTaskImage, importImage, taskFiles } from "./images.ts";
import type { Judged } from "./judge.ts";
import { poll } from "./poll.ts";
import type { PrivateEngine, PrivateEngineOptions } from "./private-engine.ts";
import { openPrivateEngine } from "./private-engine.ts";
import { rangeOf } from "./range-of.ts";
import type { DaemonOptions } from "./start-daemon.ts";
import { startDaemon } from "./start-daemon.ts";

/** Ends the server, and with it the container, with an exit code. For the input of {@link FaultHost.obeys}. */
export const endWith = (code: number): string => `echo ${code} > /tmp/code; kill $(cat /tmp/server); exit`;
/** Ends the whole program by a signal. */
export const dieBy = (signal: string): string => `kill -${signal} $(cat /tmp/main); exit`;

/** With one network sandbox ahead: it and one that was used, each with its network, and four bare networks. */
const MOST_AHEAD = 8;

const OBEYS = `echo $$ > /tmp/main
nc -ll -p 8080 -e /handler & server=$!; echo $server > /tmp/server
until nc -w 1 127.0.0.1 8080 </dev/null >/dev/null 2>&1; do sleep 0.01; done
echo meca-init-done; wait $server; exit $(cat /tmp/code 2>/dev/null || echo 0)`;

/** One daemon under fault. Disposing it ends it and its folder. */
export interface FaultDaemon extends Judged, AsyncDisposable {
  readonly owner: string;
}

export interface FaultDaemonOptions extends Omit<DaemonOptions, "config"> {
  /** Lines of YAML that come before the rest; a section named here replaces ours. */
  readonly config?: string;
  /** Further keys of the section `docker`. */
  readonly docker?: string;
  /** Where the daemon finds the engine, if not at its own socket. */
  readonly socketPath?: string;
  readonly owner?: string;
  /** Network sandboxes made ahead; default 1. */
  readonly networksAhead?: number;
}

/** An engine for a suite of faults, with its images, a stranger's container, and daemons on request. */
export interface FaultHost extends AsyncDisposable {
  readonly engine: PrivateEngine;
  readonly docker: Docker;
  /** Runs its input as a shell script, which may set `body` to the answer, or answer by itself and `exit`. */
  readonly obeys: string;
  image(name: string, main: string): Promise<string>;
  start(options?: FaultDaemonOptions): Promise<FaultDaemon>;
  /** Containers of an owner that hold tasks. */
  sandboxesOf(owner: string): Promise<readonly Docker.ContainerInfo[]>;
  /** Everything that carries an owner's label: containers of both kinds, and networks. */
  remainsOf(owner: string): Promise<readonly string[]>;
  bystanderLives(): Promise<boolean>;
  /** I5: once all sandboxes are gone, a daemon keeps the few networks that it makes ahead, and no more. */
  judgeNetworks(daemon: FaultDaemon): Promise<void>;
}

export async function openFaultHost(options: PrivateEngineOptions = {}): Promise<FaultHost> {
  const engine = await openPrivateEngine(options);
  try {
    return await furnish(engine);
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

async function furnish(engine: PrivateEngine): Promise<FaultHost> {
  const docker = new Docker({ socketPath: engine.socketPath });
  const obeys = await buildTaskImage(docker, "obeys", { main: OBEYS, reply: 'eval "$body"' });
  await importImage(docker, "stranger:1", await taskFiles({ main: "exec sleep 100000" }), [
    "/bin/sh",
    "/main",
  ]);
  // A stranger whose name begins as ours do, so that names alone cannot be what saves it.
  const bystander = await docker.createContainer({
    name: "mecanywhere_stranger_1_1_128_x",
    Image: "stranger:1",
    HostConfig: { NetworkMode: "none", RestartPolicy: { Name: "always" } },
  });
  await bystander.start();
  const remainsOf = async (owner: string): Promise<readonly string[]> => {
    const filters = { label: [ownerLabel(owner)] };
    const containers = await docker.listContainers({ all: true, filters });
    const networks = await docker.listNetworks({ filters: JSON.stringify(filters) });
    return [...containers.flatMap(({ Names }) => Names), ...networks.map(({ Name }) => Name)];
  };
  const sandboxesOf = async (owner: string): Promise<readonly Docker.ContainerInfo[]> => {
    const rows = await docker.listContainers({ all: true, filters: { label: [ownerLabel(owner)] } });
    return rows.filter(({ Labels }) => Labels[LABEL.KIND] === "sandbox");
  };
  const bystanderLives = async (): Promise<boolean> => (await bystander.inspect()).State.Running;
  return {
    engine,
    docker,
    obeys,
    sandboxesOf,
    remainsOf,
    bystanderLives,
    async judgeNetworks({ caller, owner }) {
      await caller.post("/pause");
      await poll("only what is made ahead is left", async () => {
        const left = await remainsOf(owner);
        return left.length <= MOST_AHEAD || left.join();
      });
      await caller.post("/unpause");
    },
    image: async (name, main) => await buildTaskImage(docker, name, { main, reply: 'eval "$body"' }),
    async start({
      config = "",
      docker: section = "",
      socketPath = engine.socketPath,
      owner = freshName("fault"),
      networksAhead = 1,
      env,
      ...rest
    } = {}) {
      const daemon = await startDaemon({
        ...rest,
        env: { DOCKER_HOST: `unix://${socketPath}`, FAULT_SECRET: SECRET_CANARY, ...env },
        config: configOf(config, section, owner, networksAhead),
      });
      const realSandboxes = async (): Promise<readonly string[]> =>
        (await sandboxesOf(owner)).map(({ Labels }) => Labels[LABEL.SANDBOX] ?? "");
      return {
        daemon,
        caller: new Caller(daemon.baseUrl),
        owner,
        realSandboxes,
        [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
      };
    },
    async [Symbol.asyncDispose]() {
      // With live restore it would outlive its engine.
      const isAlive = await bystanderLives().catch(() => false);
      await bystander.remove({ force: true }).catch(() => undefined); // the engine ends with it all the same
      await engine[Symbol.asyncDispose]();
      expect(isAlive, "the stranger's container lives").toBe(true);
    },
  };
}

/** What the lives of one owner share, its range included: sandboxes outside of it would not be taken over. */
function configOf(config: string, section: string, owner: string, networksAhead: number): string {
  const tasks = config.includes("tasks:") ? "" : "tasks: {stop_grace_s: 1, refresh_images: false}";
  return `driver: docker
cpu: 2
mem: 1024
${tasks}
docker: {network_range: ${rangeOf(owner, 20)}, networks_ahead: ${networksAhead}, owner: ${owner}${section === "" ? "" : `, ${section}`}}
${config}
`;
}

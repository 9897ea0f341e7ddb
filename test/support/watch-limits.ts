import type { HostedDaemon, SeenContainer, TestHost } from "./open-test-host.ts";

/** What a daemon's sandboxes held together at one instant. */
export interface LimitSample {
  /** Each container's state and limits, for the reader of a failure. */
  readonly containers: readonly string[];
  /** Of all that run or are about to. */
  readonly cpuMillis: number;
  /** Of all that the engine has, whatever their state. */
  readonly memoryBytes: number;
}

export interface LimitWatch {
  /** Stops looking. */
  end(): Promise<readonly LimitSample[]>;
}

const SAMPLE_MS = 100;

interface Look {
  readonly atMs: number;
  readonly containers: readonly SeenContainer[];
}

/** Looks at the engine every 100 ms. Each look is one list, which the engine answers from one snapshot. */
export function watchLimits(host: TestHost, daemon: HostedDaemon): LimitWatch {
  const startedAtMs = Date.now();
  const looks: Look[] = [];
  let isOver = false;
  const watch = async (): Promise<void> => {
    while (!isOver) {
      const containers = await host.containers(daemon);
      looks.push({ atMs: Date.now(), containers });
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  };
  const done = watch();
  return {
    async end() {
      isOver = true;
      await done;
      const killed = await killTimes(host, startedAtMs);
      return looks.map((look) => toSample(look, killed));
    },
  };
}

function toSample({ atMs, containers }: Look, killed: ReadonlyMap<string, number>): LimitSample {
  const held = containers.map(({ id, state, labels }) => {
    // The engine wakes what is frozen to let it die: until it is dead it seems to run, and does not.
    const isKilled = (killed.get(id) ?? Number.POSITIVE_INFINITY) <= atMs;
    const isAwake = !isKilled && ["created", "running", "restarting"].includes(state);
    return { state: isKilled ? `killed, ${state}` : state, isAwake, ...resourcesOf(labels) };
  });
  return {
    containers: held.map(({ state, cpuMillis, memoryBytes }) => `${state} ${cpuMillis} ${memoryBytes}`),
    cpuMillis: held.reduce((sum, { isAwake, cpuMillis }) => sum + (isAwake ? cpuMillis : 0), 0),
    memoryBytes: held.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
  };
}

/** When each container was sent its KILL, by the engine's own count. */
async function killTimes(host: TestHost, sinceMs: number): Promise<ReadonlyMap<string, number>> {
  const stream = await host.docker.getEvents({
    since: Math.floor(sinceMs / 1000),
    until: Math.ceil(Date.now() / 1000),
    filters: JSON.stringify({ type: ["container"], event: ["kill"] }),
  });
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  const events = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { Actor: { ID: string }; timeNano: number });
  return new Map(events.map(({ Actor, timeNano }) => [Actor.ID, timeNano / 1e6]));
}

/** From the labels, which a list shows; M5 and M7 prove that the limits in `docker inspect` are the same. */
function resourcesOf(labels: Readonly<Record<string, string>>): { cpuMillis: number; memoryBytes: number } {
  const { resources } = JSON.parse(labels["hearth.task"] ?? "{}") as {
    resources: { cpuMillis: number; memoryBytes: number };
  };
  return resources;
}

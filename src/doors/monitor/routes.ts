import type { Scope } from "../../contract/v1/route.ts";
import type { Answer } from "./answer.ts";
import { JSON_TYPE, TEXT_TYPE } from "./answer.ts";
import type { Check } from "./checks.ts";
import { healthBody, probeBody } from "./checks.ts";
import { desiredTasks, desiredText } from "./desired-state.ts";
import type { MonitorParts } from "./door-options.ts";
import type { ReportedState } from "./reported-state.ts";
import { NOTHING_REPORTED, reportedState, stateText, toldServer } from "./reported-state.ts";

/** What a route is asked besides its path. */
export interface Question {
  /** `?verbose` */
  readonly isVerbose: boolean;
  /** Whether the client would rather have JSON. */
  readonly wantsJson: boolean;
}

export interface MonitorRoute {
  /** None for probes: those of a supervisor carry no token, and tell nothing that needs one. */
  readonly scopes: readonly Scope[];
  /** @param parts what there is to tell of; `undefined` until the executor takes calls. */
  answer(parts: MonitorParts | undefined, question: Question): Promise<Answer> | Answer;
}

const STARTING: Check = { name: "executor", trouble: "it has not started yet" };

/** Every path of this door. */
export const MONITOR_ROUTES: ReadonlyMap<string, MonitorRoute> = new Map<string, MonitorRoute>([
  [
    "/monitoring/startup",
    {
      scopes: [],
      // It says once and for all that the start is over. That a queue or a server is away is told by health: a probe for
      // starts that waited for either would have this host killed for it.
      answer: (parts) => (parts === undefined ? json(503, '{"status":"nok"}') : json(200, '{"status":"ok"}')),
    },
  ],
  [
    "/monitoring/health",
    {
      scopes: [],
      answer: async (parts) => {
        const { isOk, body } = healthBody(await healthChecks(parts));
        return json(isOk ? 200 : 503, body);
      },
    },
  ],
  ["/healthz", probe("healthz", async (parts) => await healthChecks(parts))],
  // A process that answers is alive; an engine that is away is no reason to kill it.
  ["/livez", probe("livez", () => [{ name: "ping", trouble: undefined }])],
  [
    "/readyz",
    probe("readyz", async (parts) => [...(await healthChecks(parts, isForCalls)), ...takesCalls(parts)]),
  ],
  ["/monitoring/metrics", { scopes: ["read"], answer: metrics }],
  ["/metrics", { scopes: ["read"], answer: metrics }],
  ["/state/reported", { scopes: ["read"], answer: reported }],
  ["/state/desired", { scopes: ["read"], answer: desired }],
]);

function probe(
  name: string,
  checks: (parts: MonitorParts | undefined) => Promise<readonly Check[]> | readonly Check[],
): MonitorRoute {
  return {
    scopes: [],
    answer: async (parts, { isVerbose }) => {
      const { isOk, body } = probeBody(name, await checks(parts), isVerbose);
      return { status: isOk ? 200 : 503, contentType: TEXT_TYPE, body };
    },
  };
}

type DoorState = ReturnType<MonitorParts["doors"]>[number];

/** Whoever calls this host need not know of a queue or a server that is away: calls run all the same. */
const isForCalls = ({ fetchesWork }: DoorState): boolean => !fetchesWork;

/** The engine, and the doors that are on, all or some. */
async function healthChecks(
  parts: MonitorParts | undefined,
  counts: (door: DoorState) => boolean = () => true,
): Promise<readonly Check[]> {
  if (parts === undefined) return [STARTING];
  const engine = await parts.engine.ask();
  const doors = parts
    .doors()
    .filter(counts)
    .map(({ name, trouble }): Check => ({ name: `door ${name}`, trouble }));
  return [{ name: "engine", trouble: engine.isHealthy ? undefined : engine.reason }, ...doors];
}

/** Ready is who runs a call that comes now, and whose word of what it offers stands: calls that come sooner have to wait for that. */
function takesCalls(parts: MonitorParts | undefined): readonly Check[] {
  if (parts === undefined) return [];
  const view = parts.executor.view();
  const isProven = parts.proven.of(view) !== undefined;
  return [
    { name: "calls", trouble: view.state === "running" ? undefined : `the executor is ${view.state}` },
    { name: "isolation", trouble: isProven ? undefined : "its classes have not been tested yet" },
  ];
}

async function metrics(parts: MonitorParts | undefined): Promise<Answer> {
  if (parts === undefined)
    return { status: 503, contentType: TEXT_TYPE, body: "the executor has not started yet\n" };
  return { status: 200, contentType: parts.metrics.contentType, body: await parts.metrics.text() };
}

function reported(parts: MonitorParts | undefined, { wantsJson }: Question): Answer {
  const state = parts && stateOf(parts);
  const work = state && parts.server?.observed();
  if (wantsJson) return json(200, `${JSON.stringify({ ...state, ...work }, undefined, 2)}\n`);
  return {
    status: 200,
    contentType: TEXT_TYPE,
    body: state === undefined ? NOTHING_REPORTED : stateText(state, work),
  };
}

/** Nothing until all of it is known: a hash that changes by itself after each start would tell of changes that nobody made. */
function stateOf({
  executor,
  identity,
  proven,
  hostDisk,
  server,
  wallMs,
}: MonitorParts): ReportedState | undefined {
  const view = executor.view();
  const isolation = proven.of(view);
  if (isolation === undefined) return undefined;
  return { ...reportedState(identity, view, isolation, hostDisk, wallMs()), ...toldServer(server) };
}

function desired(parts: MonitorParts | undefined, { wantsJson }: Question): Answer {
  const tasks = parts === undefined ? [] : desiredTasks(parts.executor.sandboxes(), parts.executor.waiting());
  const wish = parts?.server?.desired();
  if (wantsJson) return json(200, `${JSON.stringify({ tasks, ...wish }, undefined, 2)}\n`);
  return { status: 200, contentType: TEXT_TYPE, body: desiredText(tasks, wish) };
}

function json(status: number, body: string): Answer {
  return { status, contentType: JSON_TYPE, body };
}

import type { Registration, RegistrationRequest } from "../../../contract/executer-tracker/index.ts";
import { formatTimestamp, registrationResponse } from "../../../contract/executer-tracker/index.ts";
import type { Clock, HostCapacity, Log, Secret } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { backoffMs, pause } from "../../../std/index.ts";
import { ask } from "./bounded-get.ts";
import type { CloudMetadata } from "./cloud-metadata.ts";
import { readHostFacts } from "./host-facts.ts";

const TIMEOUT_MS = 5_000;
const BACKOFF = { firstMs: 1_000, maxMs: 30_000 } as const;
const PATH = "/executers/register";
const LONGEST_ANSWER = 2_000;

/** What this host says of itself, besides what can be read from it. */
export interface RegisterOptions {
  /** Of the API, without a slash at its end. */
  readonly apiUrl: string;
  /** Sent as `X-API-Key` where there is one. */
  readonly token: Secret;
  readonly executerTypes: readonly string[];
  /** A UUID; `none`; `auto` asks the cloud. */
  readonly resourcePool: string;
  readonly machineGroup: string;
  readonly metadata: CloudMetadata;
  capacity(): HostCapacity;
  readonly clock: Clock;
  readonly log: Log;
}

/** Tells the API of this host until it is taken. Rejects only with the signal's reason. */
export async function register(options: RegisterOptions, signal: AbortSignal): Promise<Registration> {
  const { clock, log } = options;
  for (let failures = 1; ; failures += 1) {
    try {
      return await tryOnce(options, signal);
    } catch (error) {
      signal.throwIfAborted();
      log.log("warn", "executer.unregistered", { api: options.apiUrl, tries: failures, error });
      await pause(clock, backoffMs(BACKOFF, failures, Math.random()), signal);
      signal.throwIfAborted();
    }
  }
}

async function tryOnce(options: RegisterOptions, signal: AbortSignal): Promise<Registration> {
  const { apiUrl, token } = options;
  const body = JSON.stringify(await describe(options, signal));
  const key = token.reveal();
  const { status, text } = await ask(`${apiUrl}${PATH}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key === "" ? {} : { "x-api-key": key }) },
    body,
    timeoutMs: TIMEOUT_MS,
    signal,
  });
  // 202 and nothing else: another success would not have made an executer.
  if (status !== 202) throw refused(`it answers ${status}: ${text.slice(0, LONGEST_ANSWER)}`);
  return readRegistration(text);
}

/** @throws {@link ExecutorError} QUEUE_UNAVAILABLE that names what is wrong with it. */
function readRegistration(text: string): Registration {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw refused("its answer is not JSON");
  }
  const parsed = registrationResponse.safeParse(json);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw refused(`its answer is not a registration: ${faults.join("; ")}`);
}

async function describe(options: RegisterOptions, signal: AbortSignal): Promise<RegistrationRequest> {
  const { metadata, clock, executerTypes, capacity } = options;
  const [facts, host, pool, group] = await Promise.all([
    readHostFacts(capacity()),
    metadata.hostInfo(signal),
    groupOf(options.resourcePool, "attributes/resource_pool", metadata, signal),
    groupOf(options.machineGroup, "attributes/machine_group", metadata, signal),
  ]);
  return {
    create_time: formatTimestamp(clock.wallMs()),
    supported_executer_types: [...executerTypes],
    ...facts,
    ...(pool === undefined ? {} : { resource_pool_id: pool }),
    ...(group === undefined ? {} : { machine_group_id: group }),
    host_info: host,
  };
}

/** What the operator says, else what the cloud says. */
async function groupOf(
  setting: string,
  key: string,
  metadata: CloudMetadata,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (setting === "none") return undefined;
  const text = setting === "auto" ? (await metadata.value(key, signal))?.trim() : setting;
  return text === undefined || text === "" ? undefined : text;
}

function refused(reason: string): ExecutorError {
  return new ExecutorError("QUEUE_UNAVAILABLE", { reason: `the API does not register this host: ${reason}` });
}

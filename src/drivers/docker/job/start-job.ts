import type { ExecutorError, JobSandbox, JobSandboxSpec } from "../../../core/index.ts";
import { orAbort, systemClock } from "../../../std/index.ts";
import { boundedWork } from "../bounded-work.ts";
import { jobBody } from "../container/body.ts";
import type { Watch } from "../container/deaths.ts";
import { refuseMissingCards } from "../container/gpu-request.ts";
import { jobContainerName } from "../container/name.ts";
import { blamesNetwork, NetworkLease } from "../container/network-lease.ts";
import type { IsolationPlan } from "../container/plan-isolation.ts";
import { removeStarted } from "../container/remove-started.ts";
import { startFailure } from "../container/start-failure.ts";
import { workMount } from "../container/work-mount.ts";
import type { World } from "../world.ts";
import { DockerJob } from "./docker-job.ts";
import { jobParts } from "./job-parts.ts";

/** How long a failed start may take to leave nothing behind before its caller is told all the same. */
const TIDY_MS = 10_000;

/** As `JobDriver.startJob` promises. */
export async function startJob(world: World, spec: JobSandboxSpec, signal: AbortSignal): Promise<JobSandbox> {
  signal.throwIfAborted();
  workMount(spec); // refuses before anything is made
  refuseMissingCards(spec);
  const policy = world.rules.resolve(spec.task.network);
  const plan = await world.classes.plan(spec.task, signal);
  const wish = { imageDigest: spec.image.digest, policy, plan };
  await world.files.open(spec, signal);
  const taken = world.pool.take(wish.imageDigest, policy);
  const first = await tryStart(world, spec, plan, new NetworkLease(world, wish, taken), signal);
  if (!(first instanceof NetworkSuspect)) return first;
  // A network that died is not this job's fault: nothing of it has run.
  const second = await tryStart(world, spec, plan, new NetworkLease(world, wish, undefined), signal);
  if (second instanceof NetworkSuspect) throw second.failure;
  return second;
}

/** A start failed before its command ran, and its network sandbox may be the reason. */
class NetworkSuspect {
  readonly failure: ExecutorError;

  constructor(failure: ExecutorError) {
    this.failure = failure;
  }
}

async function tryStart(
  world: World,
  spec: JobSandboxSpec,
  plan: IsolationPlan,
  lease: NetworkLease,
  signal: AbortSignal,
): Promise<JobSandbox | NetworkSuspect> {
  const letPoolWork = world.pool.holdStill();
  try {
    return await new JobStart(world, spec, plan, lease).run(signal);
  } finally {
    letPoolWork();
  }
}

/** One try at starting one job: create, start; or tidy all of it up. */
class JobStart {
  readonly #world: World;
  readonly #spec: JobSandboxSpec;
  readonly #plan: IsolationPlan;
  readonly #lease: NetworkLease;
  readonly #name: string;
  #created: Promise<string> | undefined;
  #started: Promise<void> | undefined;
  #containerId: string | undefined;
  #watch: Watch | undefined;

  constructor(world: World, spec: JobSandboxSpec, plan: IsolationPlan, lease: NetworkLease) {
    this.#world = world;
    this.#spec = spec;
    this.#plan = plan;
    this.#lease = lease;
    this.#name = jobContainerName(spec);
  }

  async run(signal: AbortSignal): Promise<JobSandbox | NetworkSuspect> {
    try {
      return await this.#make(signal);
    } catch (thrown) {
      if (signal.aborted) {
        this.#world.inBackground(() => this.#tidy(true));
        throw signal.reason;
      }
      return await this.#fail(thrown);
    }
  }

  async #make(signal: AbortSignal): Promise<JobSandbox> {
    const { engine, deaths, owner, seccomp, known } = this.#world;
    const place = await this.#lease.place(signal);
    // Nobody calls a job.
    const unpublished = place.type === "own" ? { ...place, isPublished: false } : place;
    const nowMs = systemClock.wallMs();
    const options = { plan: this.#plan, nowMs, seccomp, hasInit: engine.hasInit };
    const body = jobBody(this.#spec, owner, unpublished, options);
    this.#created = engine.containers.create(this.#name, body);
    const containerId = await orAbort(this.#created, signal);
    this.#containerId = containerId;
    known.add(containerId);
    // From before its start on, so that no job is too short for its end to be seen.
    this.#watch = deaths.watch(containerId, this.#spec.task.resources.memoryBytes);
    this.#started = engine.containers.start(containerId);
    await orAbort(this.#started, signal);
    const startedAtMs = systemClock.wallMs();
    await this.#world.classes.confirm(this.#plan, signal);
    const parts = jobParts(this.#world, this.#spec, {
      containerId,
      label: this.#name,
      imageDigest: this.#spec.image.digest,
      isolation: this.#plan.isolation,
      startedAtMs,
      watch: this.#watch,
      onRemoved: (isNetworkWhole) => {
        known.delete(containerId);
        this.#lease.letGo(isNetworkWhole);
      },
    });
    return new DockerJob(engine, parts);
  }

  /** Says why, and leaves nothing behind. */
  async #fail(thrown: unknown): Promise<NetworkSuspect> {
    const failure = startFailure(this.#spec, thrown, { logTail: "", foreignArchitecture: undefined });
    const isSuspect = this.#lease.sandbox !== undefined && blamesNetwork(failure);
    const tidied = this.#tidy(!isSuspect);
    this.#world.inBackground(() => tidied);
    // Its failure is told by the background; here only its end matters.
    await boundedWork(
      tidied.catch(() => undefined),
      AbortSignal.abort(),
      TIDY_MS,
    );
    if (isSuspect) return new NetworkSuspect(failure);
    throw failure;
  }

  async #tidy(isNetworkReusable: boolean): Promise<void> {
    const { engine, known } = this.#world;
    this.#watch?.forget();
    await removeStarted(engine, { name: this.#name, created: this.#created, started: this.#started });
    if (this.#containerId !== undefined) known.delete(this.#containerId);
    this.#lease.letGo(isNetworkReusable);
  }
}

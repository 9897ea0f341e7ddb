import type { ExecutorError, JobSandbox, JobSandboxSpec, NetworkPolicy } from "../../../core/index.ts";
import { orAbort, systemClock } from "../../../std/index.ts";
import { boundedWork } from "../bounded-work.ts";
import type { BodyOptions } from "../container/body.ts";
import { jobBody } from "../container/body.ts";
import type { ContainerBody, NetworkPlace } from "../container/container-body.ts";
import type { Watch } from "../container/deaths.ts";
import { refuseMissingCards } from "../container/gpu-request.ts";
import { Making } from "../container/making.ts";
import { jobContainerName } from "../container/name.ts";
import { blamesNetwork, NetworkLease } from "../container/network-lease.ts";
import type { IsolationPlan } from "../container/plan-isolation.ts";
import { startFailure } from "../container/start-failure.ts";
import { workMount } from "../container/work-mount.ts";
import type { World } from "../world.ts";
import { DockerJob } from "./docker-job.ts";
import type { OwnParts } from "./job-parts.ts";
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
  await world.files.open(spec, signal);
  const { engine, owner } = world;
  const making: JobMaking<JobSandbox> = {
    spec,
    imageDigest: spec.image.digest,
    name: jobContainerName(spec),
    // Nobody calls a job.
    body: (place, options) =>
      jobBody(spec, owner, place.type === "own" ? { ...place, isPublished: false } : place, options),
    make: async (own) => new DockerJob(engine, jobParts(world, spec, own)),
  };
  return await startInNetwork(world, making, policy, plan, signal);
}

/** What is started in a network of its own: a job, or a worker. */
export interface JobMaking<S extends JobSandbox> {
  readonly spec: Pick<JobSandboxSpec, "task" | "gpuIds">;
  readonly imageDigest: string;
  readonly name: string;
  body(place: NetworkPlace, options: BodyOptions): ContainerBody;
  /** Called once it runs. */
  make(own: OwnParts, lease: NetworkLease): Promise<S>;
}

/** @throws {@link ExecutorError} as `JobDriver.startJob` does; then nothing is left. */
export async function startInNetwork<S extends JobSandbox>(
  world: World,
  making: JobMaking<S>,
  policy: NetworkPolicy,
  plan: IsolationPlan,
  signal: AbortSignal,
): Promise<S> {
  const wish = { imageDigest: making.imageDigest, policy, plan };
  const taken = world.pool.take(wish.imageDigest, policy);
  const first = await tryStart(world, making, plan, new NetworkLease(world, wish, taken), signal);
  if (!(first instanceof NetworkSuspect)) return first;
  // A network that died is not this job's fault: nothing of it has run.
  const second = await tryStart(world, making, plan, new NetworkLease(world, wish, undefined), signal);
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

async function tryStart<S extends JobSandbox>(
  world: World,
  making: JobMaking<S>,
  plan: IsolationPlan,
  lease: NetworkLease,
  signal: AbortSignal,
): Promise<S | NetworkSuspect> {
  const letPoolWork = world.pool.holdStill();
  try {
    return await new JobStart(world, making, plan, lease).run(signal);
  } finally {
    letPoolWork();
  }
}

/** One try at starting one job: create, start; or tidy all of it up. */
class JobStart<S extends JobSandbox> {
  readonly #world: World;
  readonly #making: JobMaking<S>;
  readonly #plan: IsolationPlan;
  readonly #lease: NetworkLease;
  readonly #container: Making;
  #containerId: string | undefined;
  #watch: Watch | undefined;

  constructor(world: World, making: JobMaking<S>, plan: IsolationPlan, lease: NetworkLease) {
    this.#world = world;
    this.#making = making;
    this.#plan = plan;
    this.#lease = lease;
    this.#container = new Making(world.engine, making.name, world.closing);
  }

  async run(signal: AbortSignal): Promise<S | NetworkSuspect> {
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

  async #make(signal: AbortSignal): Promise<S> {
    const { engine, deaths, seccomp, known } = this.#world;
    const place = await this.#lease.place(signal);
    const nowMs = systemClock.wallMs();
    const options = { plan: this.#plan, nowMs, seccomp, hasInit: engine.hasInit };
    const { spec, name, imageDigest } = this.#making;
    const containerId = await orAbort(this.#container.create(this.#making.body(place, options)), signal);
    this.#containerId = containerId;
    known.add(containerId);
    // From before its start on, so that no job is too short for its end to be seen.
    this.#watch = deaths.watch(containerId, spec.task.resources.memoryBytes);
    await orAbort(this.#container.start(containerId), signal);
    const startedAtMs = systemClock.wallMs();
    await this.#world.classes.confirm(this.#plan, signal);
    const own: OwnParts = {
      containerId,
      label: name,
      imageDigest,
      isolation: this.#plan.isolation,
      startedAtMs,
      watch: this.#watch,
      onRemoved: (isNetworkWhole) => {
        known.delete(containerId);
        this.#lease.letGo(isNetworkWhole);
      },
    };
    return await this.#making.make(own, this.#lease);
  }

  /** Says why, and leaves nothing behind. */
  async #fail(thrown: unknown): Promise<NetworkSuspect> {
    const failure = startFailure(this.#making.spec, thrown, { logTail: "", foreignArchitecture: undefined });
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
    this.#watch?.forget();
    await this.#container.remove();
    if (this.#containerId !== undefined) this.#world.known.delete(this.#containerId);
    this.#lease.letGo(isNetworkReusable);
  }
}

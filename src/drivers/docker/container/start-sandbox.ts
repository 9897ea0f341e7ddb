import type { Endpoint, Sandbox, SandboxSpec } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { orAbort, systemClock, withDeadline } from "../../../std/index.ts";
import { boundedWork } from "../bounded-work.ts";
import { TASK_PORT } from "../options.ts";
import type { World } from "../world.ts";
import { taskBody } from "./body.ts";
import type { Watch } from "./deaths.ts";
import { DockerSandbox } from "./docker-sandbox.ts";
import { refuseMissingCards } from "./gpu-request.ts";
import { readLogTail } from "./log-tail.ts";
import { Making } from "./making.ts";
import { containerName } from "./name.ts";
import { blamesNetwork, NetworkLease } from "./network-lease.ts";
import type { IsolationPlan } from "./plan-isolation.ts";
import { Readiness } from "./readiness.ts";
import { EndedEarly, startFailure } from "./start-failure.ts";

/** What an error shows of a failed sandbox's output. */
const LOG_TAIL_BYTES = 4096;
/** How long a failed start may take to say why and to leave nothing behind before its caller is told all the same. */
const TIDY_MS = 10_000;
/** As `SandboxDriver.start` promises. */
export async function startSandbox(world: World, spec: SandboxSpec, signal: AbortSignal): Promise<Sandbox> {
  signal.throwIfAborted();
  refuseMissingCards(spec);
  const policy = world.rules.resolve(spec.task.network);
  const plan = await world.classes.plan(spec.task, signal);
  const wish = { imageDigest: spec.image.digest, policy, plan };
  try {
    const taken = world.pool.take(wish.imageDigest, policy);
    return await tryStart(world, spec, plan, new NetworkLease(world, wish, taken), signal);
  } catch (thrown) {
    if (!(thrown instanceof NetworkSuspect)) throw thrown;
    if (signal.aborted) throw thrown.failure;
  }
  // What an earlier task left in its network (such as a port in TIME_WAIT), or a network that died, is not this one's fault.
  return await tryStart(world, spec, plan, new NetworkLease(world, wish, undefined), signal);
}

/** The pool keeps still until the engine has done its part; a task that takes long to come up does not hold it longer. */
async function tryStart(
  world: World,
  spec: SandboxSpec,
  plan: IsolationPlan,
  lease: NetworkLease,
  signal: AbortSignal,
): Promise<Sandbox> {
  const letPoolWork = world.pool.holdStill();
  try {
    return await new Start(world, spec, plan, lease, letPoolWork).run(signal);
  } finally {
    letPoolWork();
  }
}

/** A start failed in a network sandbox that may be the reason. */
class NetworkSuspect extends Error {
  readonly failure: ExecutorError;

  constructor(failure: ExecutorError) {
    super("the network sandbox may be at fault", { cause: failure });
    this.failure = failure;
  }
}

/** One try at making one sandbox: create, start, wait until it is ready; or tidy all of it up. */
class Start {
  readonly #world: World;
  readonly #spec: SandboxSpec;
  readonly #plan: IsolationPlan;
  readonly #name: string;
  readonly #onStarted: () => void;
  readonly #lease: NetworkLease;
  readonly #making: Making;
  #containerId: string | undefined;
  #watch: Watch | undefined;

  constructor(
    world: World,
    spec: SandboxSpec,
    plan: IsolationPlan,
    lease: NetworkLease,
    onStarted: () => void,
  ) {
    this.#world = world;
    this.#plan = plan;
    this.#onStarted = onStarted;
    this.#spec = spec;
    this.#lease = lease;
    this.#name = containerName(spec);
    this.#making = new Making(world.engine, this.#name, world.closing);
  }

  async run(signal: AbortSignal): Promise<Sandbox> {
    const { startTimeoutMs: ms, task } = this.#spec;
    const facts = { image: task.image, reason: `it did not accept connections within ${ms} ms` };
    try {
      return await withDeadline({ ms, code: "START_TIMEOUT", facts, parent: signal }, (within) =>
        this.#make(within),
      );
    } catch (thrown) {
      if (signal.aborted) {
        this.#world.inBackground(() => this.#tidy());
        throw signal.reason;
      }
      throw await this.#fail(thrown);
    }
  }

  async #make(signal: AbortSignal): Promise<Sandbox> {
    const { engine, deaths, owner, seccomp, known } = this.#world;
    const beganMs = systemClock.nowMs();
    const place = await this.#lease.place(signal);
    const options = { plan: this.#plan, nowMs: systemClock.wallMs(), seccomp, hasInit: engine.hasInit };
    const body = taskBody(this.#spec, owner, place, options);
    const containerId = await orAbort(this.#making.create(body), signal);
    this.#containerId = containerId;
    known.add(containerId);
    this.#watch = deaths.watch(containerId, this.#spec.task.resources.memoryBytes);
    const createdMs = systemClock.nowMs();
    const readiness = new Readiness(engine, containerId, this.#watch, this.#world.reach.type === "published");
    const sandboxEndpoint = this.#joinedEndpoint();
    const started = this.#making.start(containerId);
    // An address that exists already answers a connect at once; one that does not yet would cost a whole second.
    const isReady =
      sandboxEndpoint === undefined ? undefined : readiness.until(sandboxEndpoint, started, signal);
    isReady?.catch(() => undefined); // told below, after the start itself
    await orAbort(started, signal);
    this.#onStarted();
    const startedMs = systemClock.nowMs();
    const endpoint = sandboxEndpoint ?? (await this.#ownEndpoint(containerId));
    const warnings = await (isReady ?? readiness.until(endpoint, started, signal));
    await this.#world.classes.confirm(this.#plan, signal);
    const readyMs = systemClock.nowMs();
    return this.#sandbox(containerId, this.#watch, endpoint, warnings, {
      createMs: createdMs - beganMs,
      startMs: startedMs - createdMs,
      readyMs: readyMs - startedMs,
    });
  }

  #sandbox(
    containerId: string,
    watch: Watch,
    endpoint: Endpoint,
    warnings: readonly string[],
    phases: Sandbox["phases"],
  ): Sandbox {
    const { sandboxId: id, taskKey, task, image } = this.#spec;
    return new DockerSandbox(this.#world.engine, {
      id,
      taskKey,
      task,
      imageDigest: image.digest,
      containerId,
      label: this.#name,
      isolation: this.#plan.isolation,
      endpoint,
      phases,
      warnings,
      watch,
      isFrozen: false,
      onRemoved: (isNetworkWhole) => {
        this.#world.known.delete(containerId);
        this.#lease.letGo(isNetworkWhole);
      },
    });
  }

  #joinedEndpoint(): Endpoint | undefined {
    return this.#lease.sandbox?.endpoint;
  }

  async #ownEndpoint(containerId: string): Promise<Endpoint> {
    const { network } = this.#lease;
    if (network === undefined) return { host: "", port: TASK_PORT };
    return await this.#world.maker.endpointOf(containerId, network);
  }

  /** Says why, and leaves nothing behind. */
  async #fail(thrown: unknown): Promise<Error> {
    const scene = await this.#scene(thrown);
    const failure = startFailure(this.#spec, thrown, scene);
    const isSuspect = this.#isNetworkSuspect(thrown, failure);
    const tidied = this.#tidy(isSuspect);
    this.#world.inBackground(() => tidied);
    // Its failure is told by the background; here only its end matters.
    await boundedWork(
      tidied.catch(() => undefined),
      AbortSignal.abort(),
      TIDY_MS,
    );
    return isSuspect ? new NetworkSuspect(failure) : failure;
  }

  #isNetworkSuspect(thrown: unknown, failure: ExecutorError): boolean {
    const { sandbox } = this.#lease;
    if (sandbox === undefined) return false;
    if (thrown instanceof EndedEarly)
      return sandbox.usedBy !== undefined && failure.code === "SANDBOX_EXITED_EARLY";
    return blamesNetwork(failure);
  }

  async #scene(thrown: unknown): Promise<{ logTail: string; foreignArchitecture: string | undefined }> {
    const { engine } = this.#world;
    const isTold =
      thrown instanceof EndedEarly || (thrown instanceof ExecutorError && thrown.code === "START_TIMEOUT");
    if (!isTold || this.#containerId === undefined) return { logTail: "", foreignArchitecture: undefined };
    try {
      const options = { deadlineMs: 2000 };
      const { text } = await readLogTail(engine, this.#containerId, LOG_TAIL_BYTES, options);
      const { architecture } = await engine.images.inspect(this.#spec.image.digest, options);
      return {
        logTail: text,
        foreignArchitecture: architecture === engine.architecture ? undefined : architecture,
      };
    } catch {
      // The log is a kindness; the failure is told without it.
      return { logTail: "", foreignArchitecture: undefined };
    }
  }

  async #tidy(isNetworkSuspect = false): Promise<void> {
    this.#watch?.forget();
    await this.#making.remove();
    if (this.#containerId !== undefined) this.#world.known.delete(this.#containerId);
    this.#lease.letGo(!isNetworkSuspect);
  }
}

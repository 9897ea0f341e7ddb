import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { Clock, Log } from "../../../core/index.ts";
import type { CommandResponseSchema, ContainerState, SandboxMetadata } from "../../../gen/executor_api_pb.js";
import {
  ContainerDescriptionSchema,
  ContainerStateSchema,
  ContainerStatus,
  ContainerTerminationReason,
  SandboxMetadataSchema,
} from "../../../gen/executor_api_pb.js";
import type { Order, SandboxOrder } from "../commands/orders.ts";
import { plan } from "../reconcile/plan.ts";
import type { Route } from "./route.ts";
import { Sandbox, type SandboxProcess, type SandboxTimes } from "./sandbox.ts";

type CommandResponse = NonNullable<MessageInitShape<typeof CommandResponseSchema>["response"]>;

export interface SandboxDeskOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly times: SandboxTimes;
  /** @throws {@link ExecutorError} why there is none. */
  launch(order: SandboxOrder, signal: AbortSignal): Promise<SandboxProcess>;
  /** Tells the server. */
  respond(response: CommandResponse): void;
}

const NO_ALLOCATIONS = { wanted: new Map(), observed: new Set<string>() } as const;

/** The sandboxes that the server has asked of this host. They run no allocations; beyond that they are planned as workers are. */
export class SandboxDesk {
  readonly #options: SandboxDeskOptions;
  readonly #wanted = new Map<string, SandboxOrder>();
  readonly #sandboxes = new Map<string, Sandbox>();
  /** Those that are ended because the server no longer wants them. */
  readonly #removed = new WeakSet<Sandbox>();
  readonly #work = new Set<Promise<void>>();
  #isEnding = false;

  constructor(options: SandboxDeskOptions) {
    this.#options = options;
  }

  get wanted(): readonly SandboxOrder[] {
    return [...this.#wanted.values()];
  }

  get sandboxes(): readonly Sandbox[] {
    return [...this.#sandboxes.values()];
  }

  /** What is about sandboxes in a command; everything else changes nothing here. */
  take(order: Order): void {
    if (this.#isEnding) return;
    switch (order.type) {
      case "add-sandbox":
        this.#add(order.sandbox);
        break;
      case "remove":
        this.#wanted.delete(order.containerId);
        break;
      case "update":
        this.#update(order);
        break;
      case "snapshot":
        this.#refuseSnapshot(order);
        break;
      default:
        return;
    }
    this.#reconcile();
  }

  /** Every sandbox that is remembered, as the server wants to hear of it. */
  states(): readonly ContainerState[] {
    return this.sandboxes.map(({ order: { description }, condition }) => {
      if (condition.type !== "terminated") {
        const status = condition.type === "running" ? ContainerStatus.RUNNING : ContainerStatus.PENDING;
        return create(ContainerStateSchema, { description, status });
      }
      const { reason: terminationReason } = condition;
      return create(ContainerStateSchema, {
        ...{ description, status: ContainerStatus.TERMINATED, terminationReason },
      });
    });
  }

  /** Where a port of the sandbox of a user is reached; by the name that its user has for it, and by no other. */
  route(sandboxId: string, port: number): Route {
    const found = this.sandboxes.find(
      ({ order, condition }) =>
        order.description.sandboxMetadata?.sandboxId === sandboxId && condition.type !== "terminated",
    );
    if (found === undefined) return { type: "unknown" };
    const endpoint = found.endpointOf(port);
    return endpoint === undefined ? { type: "not-running" } : { type: "open", endpoint, gone: found.gone };
  }

  /** Ends every sandbox; nothing that this brings about is told. Resolves when nothing is left. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(
      this.sandboxes.map((sandbox) => sandbox.stop(ContainerTerminationReason.FUNCTION_CANCELLED)),
    );
    await Promise.allSettled(this.#work);
  }

  #add(order: SandboxOrder): void {
    const condition = this.#sandboxes.get(order.id)?.condition;
    // Asked again although it has ended: the server has not heard of that.
    if (condition?.type === "terminated") this.#terminated(order.id, condition.reason);
    if (!this.#wanted.has(order.id)) this.#wanted.set(order.id, order);
  }

  /** A warm one of a pool is given to a user, or the time of one is another. */
  #update({ containerId, metadata }: Order & { readonly type: "update" }): void {
    const known = this.#wanted.get(containerId);
    if (known === undefined || metadata === undefined) return;
    const order = withMetadata(known, metadata);
    this.#wanted.set(containerId, order);
    const sandbox = this.#sandboxes.get(containerId);
    sandbox?.update(order);
    if (sandbox?.condition.type === "running") this.#started(containerId);
  }

  #refuseSnapshot({ containerId, snapshotId }: Order & { readonly type: "snapshot" }): void {
    const condition = this.#sandboxes.get(containerId)?.condition.type;
    const unready = condition === undefined ? "container not found" : "container not in running state";
    const errorMessage = condition === "running" ? "snapshots not configured on this dataplane" : unready;
    this.#options.respond({ case: "snapshotFailed", value: { containerId, snapshotId, errorMessage } });
  }

  #reconcile(): void {
    if (this.#isEnding) return;
    const conditions = [...this.#sandboxes].map(([id, { condition }]) => [id, condition] as const);
    const steps = plan(
      { containers: this.#wanted, allocations: NO_ALLOCATIONS.wanted },
      { containers: new Map(conditions), allocations: NO_ALLOCATIONS.observed },
    );
    for (const step of steps) {
      if (step.type === "start-container") this.#start(step.container);
      else if (step.type === "stop-container") this.#remove(step.containerId);
      else if (step.type === "forget-container") this.#sandboxes.delete(step.containerId);
    }
  }

  #start(order: SandboxOrder): void {
    const sandbox = new Sandbox({ ...this.#options, order, onChange: (changed) => this.#changed(changed) });
    this.#sandboxes.set(order.id, sandbox);
    this.#track(sandbox.run());
  }

  #remove(containerId: string): void {
    const sandbox = this.#sandboxes.get(containerId);
    if (sandbox === undefined) return;
    this.#removed.add(sandbox);
    this.#track(sandbox.stop(ContainerTerminationReason.FUNCTION_CANCELLED));
  }

  #changed(sandbox: Sandbox): void {
    const { order, condition } = sandbox;
    if (condition.type === "running") this.#started(order.id);
    if (condition.type !== "terminated") return;
    this.#terminated(order.id, condition.reason);
    // Its id is free for whoever was wanted meanwhile.
    if (this.#removed.has(sandbox)) this.#sandboxes.delete(order.id);
    this.#reconcile();
  }

  #started(containerId: string): void {
    this.#respond({ case: "containerStarted", value: { containerId } });
  }

  #terminated(containerId: string, reason: ContainerTerminationReason): void {
    this.#respond({ case: "containerTerminated", value: { containerId, reason } });
  }

  #respond(response: CommandResponse): void {
    if (!this.#isEnding) this.#options.respond(response);
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    work
      .catch((error: unknown) => this.#options.log.log("error", "executor.failed", { error }))
      .finally(() => this.#work.delete(work))
      .catch(() => undefined);
  }
}

/** What is set in `metadata` stands in the place of what was; a list without entries counts as not set, as everywhere on this wire. */
function withMetadata(order: SandboxOrder, metadata: SandboxMetadata): SandboxOrder {
  const set = Object.entries(metadata).filter(
    ([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0),
  );
  const known = order.description.sandboxMetadata ?? create(SandboxMetadataSchema);
  const sandboxMetadata: SandboxMetadata = { ...known, ...Object.fromEntries(set) };
  return {
    ...order,
    description: create(ContainerDescriptionSchema, { ...order.description, sandboxMetadata }),
  };
}

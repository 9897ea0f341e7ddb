import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { BlobStore, Clock, IndexifyObserver, Log } from "../../../core/index.ts";
import { assertNever } from "../../../core/index.ts";
import type {
  AllocationLogEntry,
  AllocationOutcome,
  Command,
  ContainerState,
} from "../../../gen/executor_api_pb.js";
import {
  AllocationFailureReason,
  CommandResponseSchema,
  ContainerStateSchema,
  ContainerStatus,
  ContainerTerminationReason,
} from "../../../gen/executor_api_pb.js";
import { type AllocationPhase, AllocationTask } from "../allocations/allocation-task.ts";
import { failed } from "../allocations/outcomes.ts";
import type { AllocationOrder, ContainerOrder, FunctionName, Order } from "../commands/orders.ts";
import { namesOf, readCommand } from "../commands/read-command.ts";
import { reportFaults } from "../link/report-faults.ts";
import type { Report } from "../link/report-queue.ts";
import { allocationEnd } from "../observe/allocation-end.ts";
import type { EndedAllocation } from "../observe/record-allocations.ts";
import { timedNow } from "../observe/timed.ts";
import { plan, type Step } from "../reconcile/plan.ts";
import { SANDBOX_TIMES } from "../sandbox/sandbox.ts";
import { SandboxDesk, type SandboxDeskOptions } from "../sandbox/sandbox-desk.ts";
import type { CodeCache } from "../worker/code-cache.ts";
import { Worker, type WorkerProcess, type WorkerTimes } from "../worker/worker.ts";
import { WorkerVersions } from "../worker/worker-versions.ts";
import { Finished } from "./finished.ts";

export interface DeskOptions {
  readonly blobs: BlobStore;
  readonly code: Pick<CodeCache, "read">;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: IndexifyObserver;
  readonly workerTimes: WorkerTimes;
  /** Allocations whose outcomes an earlier life could not tell any more: the server may ask for them again before it hears. */
  readonly finished?: readonly string[];
  /** Whether the operator lets a function run here. */
  isAllowed(wanted: FunctionName): boolean;
  launch(order: ContainerOrder, signal: AbortSignal): Promise<WorkerProcess>;
  launchSandbox: SandboxDeskOptions["launch"];
  report(report: Report): void;
  /** An allocation is over; told once of each that was taken, whatever became of it. Never throws. */
  onAllocationEnd(ended: EndedAllocation): void;
}

type CommandResponseInit = MessageInitShape<typeof CommandResponseSchema>;

/** Outcomes that are told apart from new work after the server has asked again for everything. */
const FINISHED_LIMIT = 10_000;

interface RanAllocation {
  readonly task: AllocationTask;
  readonly worker: Worker;
}

interface RunningAllocation {
  readonly order: AllocationOrder;
  readonly task: AllocationTask;
  phase: AllocationPhase;
}

/** Everything that the server has asked of this host, and how far it is. Commands change what is wanted; the plan does the rest. */
export class Desk {
  readonly sandboxes: SandboxDesk;
  readonly #options: DeskOptions;
  readonly #wanted = {
    containers: new Map<string, ContainerOrder>(),
    allocations: new Map<string, AllocationOrder>(),
  };
  readonly #workers = new Map<string, Worker>();
  /** Those that are ended because the server no longer wants them. */
  readonly #removed = new WeakSet<Worker>();
  readonly #running = new Map<string, RunningAllocation>();
  readonly #finished = new Finished(FINISHED_LIMIT);
  readonly #versions: WorkerVersions;
  /** When those that are wanted came. */
  readonly #fetchedAtMs = new Map<string, number>();
  readonly #work = new Set<Promise<void>>();
  #isPlanning = false;
  #isStale = false;
  #isEnding = false;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#versions = new WorkerVersions(options.log);
    const { clock, log, launchSandbox: launch } = options;
    this.sandboxes = new SandboxDesk({
      ...{ clock, log, launch, times: SANDBOX_TIMES },
      respond: (response) => this.#respond(response),
    });
    for (const allocationId of options.finished ?? []) this.#finished.add(allocationId);
  }

  get containers(): readonly Worker[] {
    return [...this.#workers.values()];
  }

  get allocations(): readonly { readonly order: AllocationOrder; readonly phase: AllocationPhase }[] {
    return [...this.#running.values()];
  }

  /** What the server wants of this host, however far that is. */
  get wanted(): {
    readonly containers: readonly ContainerOrder[];
    readonly allocations: readonly AllocationOrder[];
  } {
    const { containers, allocations } = this.#wanted;
    return { containers: [...containers.values()], allocations: [...allocations.values()] };
  }

  /** Hands a command over. One that cannot be carried out as it is written is dropped alone. */
  take(command: Command): void {
    const order = readCommand(command);
    if (order.type === "malformed") {
      const what = { command: command.command.case, ...namesOf(command), faults: order.faults };
      this.#options.log.log("warn", "indexify.command-refused", what);
      return;
    }
    this.#apply(order);
    this.#reconcile();
    if (!(order.type === "snapshot" && this.#workers.has(order.containerId))) this.sandboxes.take(order);
  }

  /** The result of a call that an allocation here made; one for an allocation that is over is dropped. */
  takeResult({ allocationId, entry }: AllocationLogEntry): void {
    if (entry.case !== "functionCallResult") return;
    this.#running.get(allocationId)?.task.takeResult(entry.value);
  }

  /** Every worker that is remembered, as the server wants to hear of it. */
  states(): readonly ContainerState[] {
    const workers = [...this.#workers.values()].map(({ order, condition }) =>
      create(ContainerStateSchema, {
        description: order.description,
        ...(condition.type === "terminated"
          ? { status: ContainerStatus.TERMINATED, terminationReason: condition.reason }
          : { status: condition.type === "running" ? ContainerStatus.RUNNING : ContainerStatus.PENDING }),
      }),
    );
    return [...workers, ...this.sandboxes.states()];
  }

  /** Ends every worker; nothing that this brings about is reported. Resolves when nothing is left. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all([
      this.sandboxes.end(),
      ...this.containers.map((worker) => worker.stop(ContainerTerminationReason.FUNCTION_CANCELLED)),
    ]);
    await Promise.allSettled(this.#work);
  }

  #apply(order: Order): void {
    switch (order.type) {
      case "add":
        this.#add(order.container);
        break;
      case "add-sandbox":
        break;
      case "remove":
        this.#wanted.containers.delete(order.containerId);
        break;
      case "run":
        this.#schedule(order.seq, order.allocation);
        break;
      case "kill":
        this.#running.get(order.allocationId)?.task.cancel();
        break;
      case "update":
        break;
      case "snapshot":
        this.#refuseSnapshot(order.containerId, order.snapshotId);
        break;
      default:
        assertNever(order);
    }
  }

  #add(container: ContainerOrder): void {
    const condition = this.#workers.get(container.id)?.condition;
    // Asked again although it has ended: the server has not heard of that.
    if (condition?.type === "terminated") this.#terminated(container.id, condition.reason);
    if (!this.#wanted.containers.has(container.id)) this.#wanted.containers.set(container.id, container);
  }

  #schedule(seq: bigint, allocation: AllocationOrder): void {
    this.#respond({ case: "allocationScheduled", value: { allocationId: allocation.id } }, seq);
    if (this.#finished.has(allocation.id) || this.#wanted.allocations.has(allocation.id)) return;
    this.#wanted.allocations.set(allocation.id, allocation);
    this.#fetchedAtMs.set(allocation.id, this.#options.clock.nowMs());
    this.#options.observer.allocationFetched(allocation.function.name);
    if (!this.#mayRun(allocation)) this.#refuse(allocation);
  }

  /** By its own name and the version of its container; without a container the plan has its answer. */
  #mayRun({ containerId, function: called }: AllocationOrder): boolean {
    const container = this.#wanted.containers.get(containerId);
    if (container === undefined) return true;
    return this.#options.isAllowed({ ...called, version: container.function.version });
  }

  #refuse(allocation: AllocationOrder): void {
    const reason = "its function is not in indexify.functions";
    this.#options.log.log("warn", "indexify.allocation-failed", { allocationId: allocation.id, reason });
    this.#settle(failed(allocation, AllocationFailureReason.CONSTRAINT_UNSATISFIABLE, {}), allocation);
  }

  #refuseSnapshot(containerId: string, snapshotId: string): void {
    if (!this.#workers.has(containerId)) return;
    const errorMessage = "snapshots not configured on this dataplane";
    this.#respond({ case: "snapshotFailed", value: { containerId, snapshotId, errorMessage } });
  }

  /** Carries out the plan until it is at rest. What a step brings about at once is part of the same round. */
  #reconcile(): void {
    this.#isStale = true;
    if (this.#isPlanning || this.#isEnding) return;
    this.#isPlanning = true;
    try {
      timedNow(this.#options, "state_reconciliation", () => {
        while (this.#takeStale()) for (const step of this.#plan()) this.#carryOut(step);
      });
    } finally {
      this.#isPlanning = false;
    }
  }

  #takeStale(): boolean {
    const isStale = this.#isStale;
    this.#isStale = false;
    return isStale;
  }

  #plan(): readonly Step[] {
    const conditions = [...this.#workers].map(([id, { condition }]) => [id, condition] as const);
    return plan(this.#wanted, {
      containers: new Map(conditions),
      allocations: new Set(this.#running.keys()),
    });
  }

  #carryOut(step: Step): void {
    switch (step.type) {
      case "start-container":
        this.#start(step.container);
        break;
      case "stop-container":
        this.#remove(this.#workers.get(step.containerId));
        break;
      case "forget-container":
        this.#workers.delete(step.containerId);
        this.#isStale = true;
        break;
      case "begin-allocation":
        this.#begin(step.allocation);
        break;
      case "fail-allocation":
        this.#settle(
          failed(step.allocation, step.reason, { deadContainerId: step.allocation.containerId }),
          step.allocation,
        );
        break;
      default:
        assertNever(step);
    }
  }

  #start(order: ContainerOrder): void {
    const { code, clock, log, observer, launch, workerTimes } = this.#options;
    const worker = new Worker({
      ...{ order, code, clock, log, observer, launch, times: workerTimes },
      onVersion: (version) => this.#versions.note(version),
      onChange: (changed) => {
        timedNow(this.#options, "handle_function_executor_control_loop_event", () => this.#changed(changed));
      },
    });
    this.#workers.set(order.id, worker);
    this.#track(worker.run());
  }

  #remove(worker: Worker | undefined): void {
    if (worker === undefined) return;
    this.#removed.add(worker);
    this.#track(worker.stop(ContainerTerminationReason.FUNCTION_CANCELLED));
  }

  #changed(worker: Worker): void {
    const { order, condition } = worker;
    if (condition.type === "running")
      this.#respond({ case: "containerStarted", value: { containerId: order.id } });
    if (condition.type === "terminated") {
      this.#terminated(order.id, condition.reason);
      // Its id is free for whoever was wanted meanwhile.
      if (this.#removed.has(worker)) this.#workers.delete(order.id);
    }
    this.#reconcile();
  }

  #begin(order: AllocationOrder): void {
    const worker = this.#workers.get(order.containerId);
    if (worker === undefined) return;
    const { blobs, clock, log, observer } = this.#options;
    const task = new AllocationTask({
      ...{ order, worker, blobs, clock, log, observer },
      onLogEntry: (message) => this.#report({ type: "entry", message }),
      onPhase: (phase) => {
        running.phase = phase;
      },
    });
    const running: RunningAllocation = { order, task, phase: "preparing" };
    this.#running.set(order.id, running);
    this.#track(
      task.run().then((outcome) => {
        timedNow(this.#options, "handle_function_executor_control_loop_event", () => {
          this.#running.delete(order.id);
          this.#settle(outcome, order, { task, worker });
          this.#reconcile();
        });
      }),
    );
  }

  /** @param ran unless it never came to a worker. */
  #settle(message: AllocationOutcome, order: AllocationOrder, ran?: RanAllocation): void {
    const { id, containerId } = order;
    this.#wanted.allocations.delete(id);
    const { clock, observer, onAllocationEnd } = this.#options;
    const endedAtMs = clock.nowMs();
    const fetchedAtMs = this.#fetchedAtMs.get(id) ?? endedAtMs;
    this.#fetchedAtMs.delete(id);
    onAllocationEnd({
      ...{ allocationId: id, outcome: message, fetchedAtMs, endedAtMs },
      container: ran?.worker.order ?? this.#wanted.containers.get(containerId),
      home: ran?.worker.home,
      story: ran?.task.story,
      isDrained: this.#isEnding,
    });
    if (this.#isEnding) return;
    observer.allocationCompleted(allocationEnd(message), endedAtMs - fetchedAtMs);
    this.#finished.add(id);
    this.#report({ type: "outcome", message });
  }

  #terminated(containerId: string, reason: ContainerTerminationReason): void {
    this.#respond({ case: "containerTerminated", value: { containerId, reason } });
  }

  #respond(response: NonNullable<CommandResponseInit["response"]>, seq?: bigint): void {
    const message = create(CommandResponseSchema, {
      response,
      ...(seq === undefined ? {} : { commandSeq: seq }),
    });
    this.#report({ type: "response", message });
  }

  /** Deaths that come of our own end are nobody's fault: the server is told of the end instead. */
  #report(report: Report): void {
    if (this.#isEnding) return;
    const faults = reportFaults(report);
    if (faults.length === 0) this.#options.report(report);
    else this.#options.log.log("error", "indexify.report-dropped", { type: report.type, faults });
  }

  #track(work: Promise<void> | undefined): void {
    if (work === undefined) return;
    this.#work.add(work);
    work
      .catch((error: unknown) => this.#options.log.log("error", "executor.failed", { error }))
      .finally(() => this.#work.delete(work))
      .catch(() => undefined);
  }
}

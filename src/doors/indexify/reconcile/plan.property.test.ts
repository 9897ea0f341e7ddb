import { create } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  CommandSchema,
  ContainerTerminationReason,
  ContainerType,
  DataPayloadEncoding,
} from "../../../gen/executor_api_pb.js";
import type { AllocationOrder, ContainerOrder } from "../commands/orders.ts";
import { readCommand } from "../commands/read-command.ts";
import type { ContainerCondition, Step } from "./plan.ts";
import { plan } from "./plan.ts";

const CONTAINERS = ["c1", "c2", "c3"] as const;

const PAYLOAD = {
  uri: "file:///code.zip",
  encoding: DataPayloadEncoding.BINARY_ZIP,
  encodingVersion: 0n,
  size: 3n,
  sha256Hash: "aa",
};
const FUNCTION = { namespace: "n", applicationName: "a", functionName: "f", applicationVersion: "v" };

function addCommand(id: string) {
  return create(CommandSchema, {
    seq: 1n,
    command: {
      case: "addContainer",
      value: {
        container: {
          id,
          function: FUNCTION,
          application: PAYLOAD,
          initializationTimeoutMs: 1000,
          allocationTimeoutMs: 1000,
          maxConcurrency: 1,
          containerType: ContainerType.FUNCTION,
        },
      },
    },
  });
}

function containerOrder(id: string): ContainerOrder {
  const order = readCommand(addCommand(id));
  if (order.type !== "add") throw new Error(`read as ${order.type}`);
  return order.container;
}

function allocationOrder(id: string, containerId: string): AllocationOrder {
  const order = readCommand(
    create(CommandSchema, {
      seq: 1n,
      command: {
        case: "runAllocation",
        value: {
          allocation: {
            function: FUNCTION,
            allocationId: id,
            functionCallId: "call",
            requestId: "request",
            containerId,
            args: [PAYLOAD],
            requestDataPayloadUriPrefix: "file:///r",
            requestErrorPayloadUriPrefix: "file:///e",
          },
        },
      },
    }),
  );
  if (order.type !== "run") throw new Error(`read as ${order.type}`);
  return order.allocation;
}

const event = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("add" as const), id: fc.constantFrom(...CONTAINERS) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("remove" as const), id: fc.constantFrom(...CONTAINERS) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant("run" as const), id: fc.constantFrom(...CONTAINERS) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("ready" as const), id: fc.constantFrom(...CONTAINERS) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("gone" as const), id: fc.constantFrom(...CONTAINERS) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("crash" as const), id: fc.constantFrom(...CONTAINERS) }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("done" as const), nth: fc.nat(20) }) },
);

/** A host that carries out every step at once, and whose workers start, end and crash when the test says so. */
class SimulatedHost {
  readonly wanted = {
    containers: new Map<string, ContainerOrder>(),
    allocations: new Map<string, AllocationOrder>(),
  };
  readonly containers = new Map<string, ContainerCondition>();
  readonly running = new Map<string, string>();
  /** Processes that live, of each id: what must never be two. */
  readonly alive = new Map<string, number>();
  readonly outcomes = new Map<string, number>();
  #runs = 0;

  run(containerId: string): void {
    this.#runs += 1;
    const allocation = allocationOrder(`a${this.#runs}`, containerId);
    this.wanted.allocations.set(allocation.id, allocation);
  }

  get asked(): number {
    return this.#runs;
  }

  settle(): void {
    for (let round = 0; round < 10; round += 1) {
      const steps = plan(this.wanted, {
        containers: this.containers,
        allocations: new Set(this.running.keys()),
      });
      if (steps.length === 0) return;
      for (const step of steps) this.#carryOut(step);
    }
    throw new Error("the plan never comes to rest");
  }

  ended(id: string, reason: ContainerTerminationReason): void {
    this.alive.set(id, (this.alive.get(id) ?? 0) - 1);
    for (const [allocationId, containerId] of [...this.running]) {
      if (containerId === id) this.finish(allocationId);
    }
    if (this.containers.get(id)?.type === "stopping") this.containers.delete(id);
    else this.containers.set(id, { type: "terminated", reason });
  }

  finish(allocationId: string): void {
    if (!this.running.delete(allocationId)) return;
    this.#outcome(allocationId);
  }

  #outcome(allocationId: string): void {
    this.wanted.allocations.delete(allocationId);
    this.outcomes.set(allocationId, (this.outcomes.get(allocationId) ?? 0) + 1);
  }

  #carryOut(step: Step): void {
    switch (step.type) {
      case "start-container":
        this.alive.set(step.container.id, (this.alive.get(step.container.id) ?? 0) + 1);
        this.containers.set(step.container.id, { type: "starting" });
        break;
      case "stop-container":
        this.containers.set(step.containerId, { type: "stopping" });
        break;
      case "forget-container":
        this.containers.delete(step.containerId);
        break;
      case "begin-allocation":
        this.running.set(step.allocation.id, step.allocation.containerId);
        break;
      case "fail-allocation":
        this.#outcome(step.allocation.id);
        break;
    }
  }
}

test("X7: under any order of commands and ends there is one worker of an id at most, and every allocation ends once", () => {
  let outcomes = 0;
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80, size: "max" }), (events) => {
      const host = new SimulatedHost();
      for (const one of events) {
        if (one.type === "add") {
          if (!host.wanted.containers.has(one.id)) host.wanted.containers.set(one.id, containerOrder(one.id));
        } else if (one.type === "remove") host.wanted.containers.delete(one.id);
        else if (one.type === "run") host.run(one.id);
        else if (one.type === "done") host.finish([...host.running.keys()][one.nth] ?? "none");
        else {
          const condition = host.containers.get(one.id);
          if (one.type === "ready" && condition?.type === "starting") {
            host.containers.set(one.id, { type: "running" });
          }
          const isLive = condition !== undefined && condition.type !== "terminated";
          if (one.type === "gone" && condition?.type === "stopping") {
            host.ended(one.id, ContainerTerminationReason.FUNCTION_CANCELLED);
          }
          if (one.type === "crash" && isLive) host.ended(one.id, ContainerTerminationReason.PROCESS_CRASH);
        }
        host.settle();
        for (const living of host.alive.values()) expect(living).toBeLessThanOrEqual(1);
      }
      // Heal: everything that is being ended ends, everything that runs finishes.
      for (const [id, condition] of [...host.containers]) {
        if (condition.type === "stopping") host.ended(id, ContainerTerminationReason.FUNCTION_CANCELLED);
      }
      host.settle();
      for (const id of [...host.running.keys()]) host.finish(id);
      host.settle();
      expect([...host.containers.keys()].sort()).toEqual([...host.wanted.containers.keys()].sort());
      expect(host.wanted.allocations.size).toBe(0);
      expect(host.outcomes.size).toBe(host.asked);
      for (const count of host.outcomes.values()) expect(count).toBe(1);
      outcomes += host.outcomes.size;
    }),
    { numRuns: 500 },
  );
  expect(outcomes).toBeGreaterThan(1_000);
});

test("X7: a description that lacks something is refused alone, and what is wrong with which field is said", () => {
  const whole = addCommand("c1");
  expect(readCommand(whole)).toMatchObject({ type: "add", container: { id: "c1", maxConcurrency: 1 } });
  const faults: [string, (value: { [field: string]: unknown }) => void][] = [
    [
      "container.application.uri is missing or not known",
      (value) => Object.assign(value, { application: { ...PAYLOAD, uri: "" } }),
    ],
    ["container.max_concurrency is 0", (value) => Object.assign(value, { maxConcurrency: 0 })],
    ["container.function.namespace is missing", (value) => Object.assign(value, { function: {} })],
    ["container.initialization_timeout_ms is missing", (value) => delete value["initializationTimeoutMs"]],
  ];
  for (const [fault, spoil] of faults) {
    const command = addCommand("c1");
    if (command.command.case !== "addContainer") throw new Error("another command");
    spoil(command.command.value.container as unknown as { [field: string]: unknown });
    const read = readCommand(command);
    expect(read.type === "malformed" && read.faults).toContain(fault);
  }
});

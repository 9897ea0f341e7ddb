import { clone, equals } from "@bufbuild/protobuf";
import type {
  Allocation,
  AllocationOutcome,
  Command,
  ContainerDescription,
  DataplaneStateFullSync,
  HeartbeatRequest,
} from "../../../src/gen/executor_api_pb.js";
import { ContainerDescriptionSchema, ExecutorStatus } from "../../../src/gen/executor_api_pb.js";
import { encodedItems, ITEM_KINDS, type ItemKind } from "./rules.ts";

/** A heartbeat may be answered and its answer be lost: the executor then has not heard that its state was asked for. */
const DEAF_AFTER = 2;

/**
 * What the rules of `contracts/indexify.md` 3 need to know of what was said before, over all of the double's lives: the
 * commands that went out, and for each executor how its last heartbeat was answered.
 */
export class Conversation {
  readonly #complain: (text: string) => void;
  readonly #containers = new Map<
    string,
    { readonly descriptions: ContainerDescription[]; isUpdated: boolean }
  >();
  readonly #allocations = new Map<string, Allocation>();
  /** The numbers under which an allocation went out. */
  readonly #numbers = new Map<string, Set<bigint>>();
  readonly #talks = new Map<string, Talk>();

  constructor(complain: (text: string) => void) {
    this.#complain = complain;
  }

  sent({ seq, command }: Command): void {
    if (command.case === "addContainer" && command.value.container !== undefined) {
      const { container } = command.value;
      const known = this.#containers.get(container.id ?? "") ?? { descriptions: [], isUpdated: false };
      known.descriptions.push(clone(ContainerDescriptionSchema, container));
      this.#containers.set(container.id ?? "", known);
    } else if (command.case === "updateContainerDescription") {
      const known = this.#containers.get(command.value.containerId);
      if (known !== undefined) known.isUpdated = true;
    } else if (command.case === "runAllocation" && command.value.allocation !== undefined) {
      const { allocation } = command.value;
      const id = allocation.allocationId ?? "";
      this.#allocations.set(id, allocation);
      this.#numbers.set(id, (this.#numbers.get(id) ?? new Set()).add(seq));
    }
  }

  /** A heartbeat that was understood. @param isKnown whether its executor is registered as it comes. */
  heard(executorId: string, request: HeartbeatRequest, isKnown: boolean): void {
    const talk = this.#talk(executorId);
    if (request.status === ExecutorStatus.STOPPED) {
      Object.assign(talk, { ...QUIET, hasRegistered: talk.hasRegistered, hasStopped: true });
      return;
    }
    talk.hasStopped = false;
    const { fullState } = request;
    if (fullState === undefined) {
      if (talk.isAsked) talk.deafness += 1;
      if (talk.deafness === DEAF_AFTER) this.#complain("3.4: the full state was asked for and does not come");
    } else {
      // One whose answer was lost is sent again.
      const isDue = !isKnown || talk.isAsked || talk.mayBring || talk.fullStates === 1;
      if (!isDue) this.#complain("3.4: a full state that nobody asked for");
      this.#containersOf(fullState);
      if (talk.isAsked && talk.dropped !== undefined) this.#kept(talk.dropped, encodedItems(request));
    }
    for (const { commandSeq, response } of request.commandResponses) {
      if (response.case === "allocationScheduled")
        this.#scheduled(response.value.allocationId, commandSeq ?? 0n);
    }
    for (const outcome of request.allocationOutcomes) this.#outcome(outcome);
    for (const { allocationId, entry } of request.allocationLogEntries) {
      if (entry.case !== "callFunction") continue;
      this.#ids(allocationId, {
        requestId: entry.value.requestId,
        functionCallId: entry.value.sourceFunctionCallId,
        namespace: entry.value.namespace,
        application: entry.value.application,
      });
    }
    talk.fullStates = fullState === undefined ? 0 : talk.fullStates + 1;
  }

  /** How that heartbeat is answered. @param isDropped its reports were not looked at. */
  answered(executorId: string, request: HeartbeatRequest, sendState: boolean, isDropped: boolean): void {
    const talk = this.#talk(executorId);
    if (request.fullState !== undefined && !sendState) {
      const { fullStates } = talk;
      Object.assign(talk, { ...QUIET, hasRegistered: true, fullStates });
    }
    if (!sendState) return;
    talk.isAsked = true;
    talk.dropped = isDropped ? encodedItems(request) : undefined;
  }

  /** It was refused, or numbers are missing from what it gets: it may bring its state unasked. */
  mayBringState(executorId: string): void {
    this.#talk(executorId).mayBring = true;
  }

  /** A poll comes in. */
  polled(executorId: string): void {
    const { hasRegistered, hasStopped } = this.#talk(executorId);
    if (!hasRegistered) this.#complain("3.1: it polls before it has registered");
    if (hasStopped) this.#complain("3.10: it polls after STOPPED");
  }

  /** The double goes away: what it said last may never have arrived. */
  lostTouch(): void {
    for (const talk of this.#talks.values())
      Object.assign(talk, { ...QUIET, hasRegistered: talk.hasRegistered, mayBring: true });
  }

  #containersOf({ containerStates }: DataplaneStateFullSync): void {
    for (const { description } of containerStates) {
      const id = description?.id ?? "";
      const known = this.#containers.get(id);
      if (description === undefined || known === undefined) {
        this.#complain(`3.2: container ${id} was never asked for`);
        continue;
      }
      const isEcho = known.descriptions.some((sent) =>
        equals(
          ContainerDescriptionSchema,
          comparable(sent, known.isUpdated),
          comparable(description, known.isUpdated),
        ),
      );
      if (!isEcho) this.#complain(`3.2: container ${id} is not described as it was asked for`);
    }
  }

  /** What was dropped comes again, first. */
  #kept(dropped: Items, now: Items): void {
    for (const kind of ITEM_KINDS) {
      const [first] = dropped[kind];
      const [again] = now[kind];
      if (first === undefined || (again !== undefined && Buffer.compare(first, again) === 0)) continue;
      this.#complain(`3.5: ${kind} that were dropped do not come again`);
    }
  }

  #scheduled(allocationId: string, seq: bigint): void {
    const numbers = this.#numbers.get(allocationId);
    if (numbers !== undefined && !numbers.has(seq))
      this.#complain(`2.2: ${allocationId} was scheduled by command ${seq}, which is not its own`);
  }

  #outcome({ outcome: { value } }: AllocationOutcome): void {
    if (value === undefined) return;
    this.#ids(value.allocationId, {
      requestId: value.requestId,
      functionCallId: value.functionCallId,
      namespace: value.function?.namespace,
      application: value.function?.applicationName,
      functionName: value.function?.functionName,
    });
  }

  /** What is said of an allocation names it as its command did. One that nobody knows is the server's to pass over. */
  #ids(allocationId: string, named: Readonly<Record<string, string | undefined>>): void {
    const allocation = this.#allocations.get(allocationId);
    if (allocation === undefined) return;
    const asked: Readonly<Record<string, string | undefined>> = {
      requestId: allocation.requestId,
      functionCallId: allocation.functionCallId,
      namespace: allocation.function?.namespace,
      application: allocation.function?.applicationName,
      functionName: allocation.function?.functionName,
    };
    for (const [field, value] of Object.entries(named)) {
      if (value !== asked[field])
        this.#complain(`5.9: ${field} ${value} of ${allocationId}, which has ${asked[field]}`);
    }
  }

  #talk(executorId: string): Talk {
    const talk = this.#talks.get(executorId) ?? { ...QUIET };
    this.#talks.set(executorId, talk);
    return talk;
  }
}

type Items = Readonly<Record<ItemKind, readonly Uint8Array[]>>;

interface Talk {
  hasRegistered: boolean;
  hasStopped: boolean;
  /** Its state was asked for and has not come. */
  isAsked: boolean;
  /** So many heartbeats came without it since. */
  deafness: number;
  /** Its state is welcome though nobody asked for it. */
  mayBring: boolean;
  /** So many heartbeats in a row have brought its state. */
  fullStates: number;
  /** The reports of the heartbeat that was answered with the question. */
  dropped: Items | undefined;
}

const QUIET: Talk = {
  hasRegistered: false,
  hasStopped: false,
  isAsked: false,
  deafness: 0,
  mayBring: false,
  fullStates: 0,
  dropped: undefined,
};

/** An update is merged by the executor, so what it makes of the metadata is not compared. */
function comparable(description: ContainerDescription, isUpdated: boolean): ContainerDescription {
  const copy = clone(ContainerDescriptionSchema, description);
  if (isUpdated) delete copy.sandboxMetadata;
  return copy;
}

import type {
  AddContainer,
  Allocation,
  Command,
  ContainerDescription,
  DataPayload,
  FunctionRef,
  UpdateContainerDescription,
} from "../../../gen/executor_api_pb.js";
import { ContainerType } from "../../../gen/executor_api_pb.js";
import { payloadFaults } from "../link/report-faults.ts";
import type { AllocationOrder, ContainerOrder, FunctionName, Order, PayloadPlace } from "./orders.ts";

/** A command in our words, or its fields that are wrong, and how: then it is dropped alone, and acknowledged. */
export type ReadCommand = Order | { readonly type: "malformed"; readonly faults: readonly string[] };

/** A name is repeated in every line of the log about what it names; none that a server makes is near this. */
const ID_LENGTH = 256;

/** Checks a command against what it must hold (`contracts/indexify.md` 4.2). Pure. */
export function readCommand({ seq, command }: Command): ReadCommand {
  switch (command.case) {
    case "addContainer":
      return readAdd(command.value);
    case "removeContainer":
      return withId(command.value.containerId, (containerId) => ({ type: "remove", containerId }));
    case "runAllocation":
      return readRun(seq, command.value.allocation);
    case "killAllocation":
      return withId(
        command.value.allocationId,
        (allocationId) => ({ type: "kill", allocationId }),
        "allocation_id",
      );
    case "updateContainerDescription":
      return readUpdate(command.value);
    case "snapshotContainer": {
      const { containerId, snapshotId } = command.value;
      if (snapshotId === "") return malformed(["snapshot_id is missing"]);
      return withId(containerId, () => ({ type: "snapshot", containerId, snapshotId }));
    }
    case undefined:
      return malformed(["command is missing, or of a type that is not known"]);
  }
}

/** Which command it is, for whoever looks for it on the server, and whom it is for, as far as it says. */
export function namesOf({ seq, command }: Command): Readonly<Record<string, string>> {
  const { containerId, allocationId } = idsOf(command);
  return {
    seq: String(seq),
    ...(containerId === undefined || containerId === "" ? {} : { containerId: cut(containerId) }),
    ...(allocationId === undefined || allocationId === "" ? {} : { allocationId: cut(allocationId) }),
  };
}

function idsOf(command: Command["command"]): {
  readonly containerId?: string | undefined;
  readonly allocationId?: string | undefined;
} {
  switch (command.case) {
    case "addContainer":
      return { containerId: command.value.container?.id };
    case "runAllocation":
      return command.value.allocation ?? {};
    case undefined:
      return {};
    default:
      return command.value;
  }
}

function cut(id: string): string {
  return id.length > ID_LENGTH ? `${id.slice(0, ID_LENGTH)}…` : id;
}

function readAdd({ container }: AddContainer): ReadCommand {
  if (container === undefined) return malformed(["container is missing"]);
  const { id, containerType } = container;
  if (id === undefined || id === "") return malformed(["container.id is missing"]);
  if (id.length > ID_LENGTH) return malformed([`container.id is of more than ${ID_LENGTH} characters`]);
  if (containerType !== ContainerType.FUNCTION)
    return { type: "add-sandbox", sandbox: { id, description: container } };
  const faults = new Faults();
  const order = readContainer(id, container, faults);
  return faults.list.length > 0 ? malformed(faults.list) : { type: "add", container: order };
}

function readUpdate({ containerId: id, sandboxMetadata: metadata }: UpdateContainerDescription): ReadCommand {
  return withId(id, (containerId) => ({ type: "update", containerId, metadata }));
}

function readContainer(id: string, description: ContainerDescription, faults: Faults): ContainerOrder {
  const { initializationTimeoutMs, allocationTimeoutMs, maxConcurrency } = description;
  if (maxConcurrency === 0) faults.add("container.max_concurrency is 0");
  faults.need("container.application.encoding_version", description.application?.encodingVersion);
  return {
    id,
    description,
    function: readFunction("container.function", description.function, faults),
    code: readPayload("container.application", description.application, faults),
    initializeTimeoutMs: faults.need("container.initialization_timeout_ms", initializationTimeoutMs) ?? 0,
    allocationTimeoutMs: faults.need("container.allocation_timeout_ms", allocationTimeoutMs) ?? 0,
    maxConcurrency: faults.need("container.max_concurrency", maxConcurrency) ?? 1,
    secretNames: description.secretNames,
    resources: description.resources,
  };
}

function readRun(seq: bigint, allocation: Allocation | undefined): ReadCommand {
  if (allocation === undefined) return malformed(["allocation is missing"]);
  const faults = new Faults();
  const order: AllocationOrder = {
    id: faults.text("allocation_id", allocation.allocationId),
    containerId: faults.text("container_id", allocation.containerId),
    function: readFunction("function", allocation.function, faults),
    functionRef: allocation.function as FunctionRef,
    functionCallId: faults.text("function_call_id", allocation.functionCallId),
    requestId: faults.text("request_id", allocation.requestId),
    args: allocation.args.map((arg, index) => readPayload(`args[${index}]`, arg, faults)),
    dataPrefix: faults.text("request_data_payload_uri_prefix", allocation.requestDataPayloadUriPrefix),
    errorPrefix: faults.text("request_error_payload_uri_prefix", allocation.requestErrorPayloadUriPrefix),
    callMetadata: allocation.functionCallMetadata,
  };
  if (order.id.length > ID_LENGTH) faults.add(`allocation_id is of more than ${ID_LENGTH} characters`);
  return faults.list.length > 0 ? malformed(faults.list) : { type: "run", seq, allocation: order };
}

function readFunction(field: string, ref: FunctionRef | undefined, faults: Faults): FunctionName {
  return {
    namespace: faults.text(`${field}.namespace`, ref?.namespace),
    application: faults.text(`${field}.application_name`, ref?.applicationName),
    name: faults.text(`${field}.function_name`, ref?.functionName),
    version: ref?.applicationVersion === "" ? undefined : ref?.applicationVersion,
  };
}

function readPayload(field: string, payload: DataPayload | undefined, faults: Faults): PayloadPlace {
  if (payload === undefined) {
    faults.add(`${field} is missing`);
    return NOWHERE;
  }
  for (const name of payloadFaults(field, payload)) faults.add(`${name} is missing or not known`);
  return {
    uri: payload.uri ?? "",
    offset: payload.offset ?? 0n,
    size: payload.size ?? 0n,
    sha256: payload.sha256Hash ?? "",
    payload,
  };
}

/** Stands in a reading that is refused as a whole. */
const NOWHERE = { uri: "", offset: 0n, size: 0n, sha256: "", payload: {} } as unknown as PayloadPlace;

class Faults {
  readonly list: string[] = [];

  add(fault: string): void {
    this.list.push(fault);
  }

  text(field: string, value: string | undefined): string {
    if (value === undefined || value === "") this.add(`${field} is missing`);
    return value ?? "";
  }

  need<T>(field: string, value: T | undefined): T | undefined {
    if (value === undefined) this.add(`${field} is missing`);
    return value;
  }
}

function withId(id: string, make: (id: string) => Order, field = "container_id"): ReadCommand {
  return id === "" ? malformed([`${field} is missing`]) : make(id);
}

function malformed(faults: readonly string[]): ReadCommand {
  return { type: "malformed", faults };
}

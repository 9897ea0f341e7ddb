import type {
  ContainerDescription,
  ContainerResources,
  DataPayload,
  FunctionRef,
  SandboxMetadata,
} from "../../../gen/executor_api_pb.js";

/** A function of one application; `version` is unset in an allocation, whose container says it. */
export interface FunctionName {
  readonly namespace: string;
  readonly application: string;
  readonly name: string;
  readonly version: string | undefined;
}

/** `namespace:application:function[:version]`. */
export function functionText({ namespace, application, name, version }: FunctionName): string {
  return [namespace, application, name, version].filter((part) => part !== undefined).join(":");
}

/** Bytes in the blob store, with everything that is needed to read them. */
export interface PayloadPlace {
  readonly uri: string;
  readonly offset: bigint;
  readonly size: bigint;
  readonly sha256: string;
  readonly payload: DataPayload;
}

/** A worker that the server wants. */
export interface ContainerOrder {
  readonly id: string;
  /** As it came: the server wants it back word for word. */
  readonly description: ContainerDescription;
  readonly function: FunctionName;
  readonly code: PayloadPlace;
  /** 0 is without end. */
  readonly initializeTimeoutMs: number;
  readonly allocationTimeoutMs: number;
  readonly maxConcurrency: number;
  readonly secretNames: readonly string[];
  readonly resources: ContainerResources | undefined;
}

/** A container that serves its user over the proxy, not the server over allocations. */
export interface SandboxOrder {
  readonly id: string;
  /** As it came, with what later commands have changed in it: the server wants it back word for word. */
  readonly description: ContainerDescription;
}

/** One attempt to run one function call, in a worker that the server names. */
export interface AllocationOrder {
  readonly id: string;
  readonly containerId: string;
  readonly function: FunctionName;
  /** The reference as it came, for the outcome. */
  readonly functionRef: FunctionRef;
  readonly functionCallId: string;
  readonly requestId: string;
  readonly args: readonly PayloadPlace[];
  /** What the URIs of its outputs and of its request's state begin with. */
  readonly dataPrefix: string;
  readonly errorPrefix: string;
  readonly callMetadata: Uint8Array | undefined;
}

/** A command in our words. */
export type Order =
  | { readonly type: "add"; readonly container: ContainerOrder }
  /** A sandbox, or a type that nobody knows. */
  | { readonly type: "add-sandbox"; readonly sandbox: SandboxOrder }
  | { readonly type: "remove"; readonly containerId: string }
  | { readonly type: "run"; readonly seq: bigint; readonly allocation: AllocationOrder }
  | { readonly type: "kill"; readonly allocationId: string }
  | {
      readonly type: "update";
      readonly containerId: string;
      /** What is set in it replaces what was. */
      readonly metadata: SandboxMetadata | undefined;
    }
  | { readonly type: "snapshot"; readonly containerId: string; readonly snapshotId: string };

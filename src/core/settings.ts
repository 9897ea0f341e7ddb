import type { IsolationClass } from "./task/isolation.ts";

/**
 * What an operator may change while the executor runs. All of it is plain values in base units; the schema in `config/` says
 * which key, variable and flag sets each, and within which bounds.
 */
export interface Settings {
  /** The most that all sandboxes together may hold; already clamped to the host. */
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** A warm sandbox without a call for this long is removed. */
  readonly idleTimeoutMs: number;
  /** Whether GPUs are looked for and handed out. */
  readonly hasGpu: boolean;
  /** A card whose computing or memory use is above this, with nothing of ours on it, is in use from outside: 0 to 100. */
  readonly gpuBusyPercent: number;
  /** Whether tasks that ask for memory of a card may share one; if not, they get whole cards. */
  readonly sharesGpus: boolean;
  /** The pause between two readings of the cards. */
  readonly gpuPollMs: number;
  /** The engine's runtimes that may be named, and the class that each is for; at most one for a class. */
  readonly runtimes: readonly RuntimeSetting[];
  /** Calls that one sandbox serves side by side. */
  readonly slotsPerSandbox: number;
  /** Sandboxes that one task may have when the slots of the others are full. */
  readonly sandboxesPerTask: number;
  /** Requests that may wait for room or a start, over all tasks. */
  readonly queueLimit: number;
  /** From accepted to a reservation. */
  readonly queueTimeoutMs: number;
  /** A smaller request may pass a bigger one that has waited less than this. */
  readonly passOverMs: number;
  /** From the first byte that asks for an image to its presence. */
  readonly pullTimeoutMs: number;
  /** From create to a port that accepts. */
  readonly startTimeoutMs: number;
  /** From the input sent to the whole answer. */
  readonly runTimeoutMs: number;
  /** From asking a sandbox to end to killing it. */
  readonly stopGraceMs: number;
  /** How long `pause` waits for running calls before it answers with their number. */
  readonly pauseWaitMs: number;
  /** A session without a call for this long ends. */
  readonly sessionIdleMs: number;
  /** The longest life of a session, however much it is used. */
  readonly sessionMaxMs: number;
  /** Sessions and holds that may be open at once. */
  readonly sessionLimit: number;
  /** Which idle sandbox is lost first: the one unused for longest, or the one that is cheapest to start again for its memory and age. */
  readonly evictionOrder: "recency" | "cost";
  /** What happens to a running call whose caller went away: it runs on and its answer is dropped, or its sandbox is given up. */
  readonly onDisconnect: "finish" | "cancel";
  /** Whether a cold start asks the registry if the tag has moved. */
  readonly refreshImages: boolean;
  /** CPU and memory that each door is sure to get back when it wants them; what it leaves unused is lent. */
  readonly shares: Readonly<Record<DoorName, Share>>;
}

/** A way in that can hold reservations. */
export const DOOR_NAMES = ["http", "stream", "indexify"] as const;
export type DoorName = (typeof DOOR_NAMES)[number];

export interface Share {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
}

/** The classes that an engine's runtime can stand for. */
export const RUNTIME_CLASSES = [
  "container",
  "gvisor",
  "microVM",
] as const satisfies readonly IsolationClass[];
export type RuntimeClass = (typeof RUNTIME_CLASSES)[number];

/** One runtime of the engine, allowed by the operator for one class. */
export interface RuntimeSetting {
  /** As the engine lists it. */
  readonly name: string;
  readonly isolation: RuntimeClass;
  /** `optional`: usable although its limits do not hold. */
  readonly limits: "required" | "optional";
}

import type { SandboxId, TaskKey } from "../ids.ts";
import type { RuntimeSetting } from "../settings.ts";
import type { IsolationClass } from "../task/isolation.ts";
import type { NetworkPolicy } from "../task/network-policy.ts";
import type { TaskSpec } from "../task/task-spec.ts";
import type { CardHandover } from "./gpus.ts";
import type { JobDriver } from "./job-sandbox.ts";
import type { WorkerDriver } from "./worker-sandbox.ts";

/** What a driver can do now, said in advance instead of discovered by an exception. */
export interface DriverCapabilities {
  /** The classes that `start` reaches now, each proven by its probe; the first is what `default` means. */
  readonly isolation: readonly IsolationClass[];
  /** Whether an idle sandbox can give its CPU back and keep its memory. */
  readonly canFreeze: boolean;
  /** Whether sandboxes outlive the daemon, so that its next life may take them over. */
  readonly canAdopt: boolean;
}

/** What a test sandbox saw and could do from inside (`docs/isolation.md`). */
export interface ProbeSight {
  /** `uname -r` and `-v` as its programs read them. */
  readonly kernel: string;
  /** Whether that is another kernel than the host's. */
  readonly hasOwnKernel: boolean;
  /** Limits that were tried and held. */
  readonly enforced: readonly LimitKind[];
  /** Limits that were tried and did not hold. */
  readonly ignored: readonly LimitKind[];
  /** Whether a setuid program gains nothing. */
  readonly hasNoNewPrivileges: boolean;
  /** Whether the executor's own doors can be reached from inside. */
  readonly reachesExecutor: boolean;
}

export type LimitKind = "cpu" | "memory" | "pids";

/** One isolation class as this host has it: what stands behind it, and what a test sandbox in it really showed. */
export interface ClassReport {
  readonly isolation: IsolationClass;
  /** The engine's name for what makes it, such as `runsc`; `undefined` where there is no such name. */
  readonly runtime: string | undefined;
  /** `unproven`: its probe has not ended yet; starts in it wait for that. */
  readonly state: "usable" | "unusable" | "unproven";
  /** Why it is unusable, or what is missing in it though it is usable; a sentence each. */
  readonly reasons: readonly string[];
  /** `undefined` until a probe came far enough to see. */
  readonly sight: ProbeSight | undefined;
}

/** What tasks can reach on this host, and what holds them to it. */
export interface NetworkReport {
  /** What a task gets that asks for nothing; `undefined` where nothing holds tasks to any policy. */
  readonly default: NetworkPolicy | undefined;
  /** What may be asked for by name, weakest last. */
  readonly offered: readonly NetworkPolicy[];
  /** Whether rules on the host keep tasks from its own services, from private networks and from cloud metadata. */
  readonly isFiltered: boolean;
  /** Why a policy is not on offer, or what is not enforced; a sentence each. */
  readonly reasons: readonly string[];
}

/** What an operator may change in a driver while it runs. */
export interface DriverSettings {
  readonly runtimes: readonly RuntimeSetting[];
}

/** An image (or task folder) pinned to its content. */
export interface ResolvedImage {
  /** Changes exactly when the content does. For `docker` the image id (`sha256:…`). */
  readonly digest: string;
  /** Whether this resolve fetched it. */
  readonly wasPulled: boolean;
}

/** How far a pull has come. Bytes are totals over all layers known so far. */
export interface PullProgress {
  readonly image: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** How an image is looked up. */
export interface ResolveOptions {
  /**
   * `never`: only what is here. `missing`: ask the registry only if the image is not here. `moved`: also if its tag may have moved
   * there.
   */
  readonly refresh: "never" | "missing" | "moved";
  onProgress?(progress: PullProgress): void;
}

/** Everything a driver needs to make one sandbox in call mode. */
export interface SandboxSpec {
  readonly sandboxId: SandboxId;
  readonly taskKey: TaskKey;
  readonly task: TaskSpec;
  readonly image: ResolvedImage;
  /** The cards that it gets, by UUID; exactly those, and none when empty. */
  readonly gpuIds: readonly string[];
  /** From the first step to a port that accepts. */
  readonly startTimeoutMs: number;
}

/** Where a sandbox's server listens, seen from the daemon. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Where the time of a start went. Milliseconds, in the order in which they happen. */
export interface StartPhases {
  readonly createMs: number;
  readonly startMs: number;
  readonly readyMs: number;
}

/** Why a sandbox's code no longer runs. */
export type SandboxEnd =
  | { readonly type: "exited"; readonly exitCode: number }
  | { readonly type: "signalled"; readonly signal: string }
  | { readonly type: "memory"; readonly limitBytes: number }
  /** We ended it: what we asked of it came before its end, whatever it made of that. */
  | { readonly type: "stopped" }
  /** Somebody else removed it, or its engine lost it. */
  | { readonly type: "lost" };

/** What a sandbox has used so far. */
export interface SandboxUsage {
  /** CPU time used since its start. */
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly memoryPeakBytes: number | undefined;
  /** Of one that has ended: seen before its end, at its start if nobody looked; what it came to is not known. */
  readonly isEarlier?: true;
}

/** The end of what a sandbox printed. */
export interface LogTail {
  readonly text: string;
  /** Whether older output existed and is not shown. */
  readonly isTruncated: boolean;
}

/** A piece of what a sandbox prints, as it prints it. */
export interface LogChunk {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/**
 * One sandbox whose server accepts. Every method that takes a signal rejects with that signal's reason once it aborts;
 * what was under way then is still carried to its end and cleaned up behind the caller's back.
 */
export interface Sandbox {
  readonly id: SandboxId;
  readonly taskKey: TaskKey;
  readonly task: TaskSpec;
  readonly imageDigest: string;
  /** What it is called outside: the container's name, or the process group's leader. */
  readonly label: string;
  /** The class really reached. */
  readonly isolation: IsolationClass;
  readonly endpoint: Endpoint;
  readonly phases: StartPhases;
  /** What an operator should know about how it came up, such as a missing ready mark. */
  readonly warnings: readonly string[];
  /** Resolves once, when its code no longer runs, whoever ended it; never rejects. */
  readonly ended: Promise<SandboxEnd>;
  /** After it resolves no code of the sandbox runs until `thaw`. */
  freeze(signal: AbortSignal): Promise<void>;
  thaw(signal: AbortSignal): Promise<void>;
  /**
   * Asks, waits `graceMs`, kills, removes. Resolves when nothing of the sandbox is left; safe to call again and from any
   * state, a frozen one included. Rejects only when the engine would not remove it; then it may be called again.
   */
  stop(graceMs: number): Promise<void>;
  usage(signal: AbortSignal): Promise<SandboxUsage>;
  tailLog(maxBytes: number, signal: AbortSignal): Promise<LogTail>;
  /** The last `tailBytes` of output, then what comes, until the sandbox ends or the signal aborts. */
  followLog(tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk>;
}

/** A sandbox that an earlier life of this daemon left behind. */
export interface Leftover {
  readonly sandboxId: SandboxId;
  /** What it was made for; `undefined` when its labels do not say so in our present words: then it can only be reaped. */
  readonly task: TaskSpec | undefined;
  readonly imageDigest: string;
  /** The cards that it was given. */
  readonly gpuIds: readonly string[];
  readonly isFrozen: boolean;
  /** Takes it over if it runs, is whole and its port accepts; rejects otherwise, and then `reap` it. */
  adopt(signal: AbortSignal): Promise<Sandbox>;
  /** Removes it and everything that belongs to it. */
  reap(signal: AbortSignal): Promise<void>;
}

export type DriverHealth =
  | { readonly isHealthy: true; readonly detail: string }
  | { readonly isHealthy: false; readonly reason: string };

/**
 * Makes sandboxes. Opening a driver (`openDockerDriver`, `openProcessDriver`) is what connects it; disposing it lets go of
 * everything that only serves the driver itself (spare networks, event streams), and leaves sandboxes alone.
 */
export interface SandboxDriver extends JobDriver, WorkerDriver, AsyncDisposable {
  readonly name: string;
  readonly capabilities: DriverCapabilities;
  /** Where something else than this driver hands cards to tasks, which may not be able to; absent: it hands them over itself. */
  readonly cards?: CardHandover;
  /**
   * Pins an image to its content, fetching it if need be. Callers that ask for the same image at once share one fetch; a
   * caller whose signal aborts leaves it running for the others.
   *
   * @throws {@link ExecutorError} IMAGE_NOT_FOUND, IMAGE_PULL_FAILED, IMAGE_NAME_INVALID, TASK_NOT_FOUND, ENGINE_UNAVAILABLE.
   */
  resolve(image: string, options: ResolveOptions, signal: AbortSignal): Promise<ResolvedImage>;
  /**
   * Says what can be told of an image without fetching anything: rejects as `resolve` would for a name that no image can have,
   * or that nothing here has and nobody else can have, or as `start` would for what is here and cannot serve calls. That it
   * resolves is no promise that there is such an image.
   *
   * @throws {@link ExecutorError} IMAGE_NAME_INVALID, TASK_NOT_FOUND, IMAGE_NOT_FOUND, IMAGE_UNUSABLE, ENGINE_UNAVAILABLE.
   */
  checkImage(image: string, signal: AbortSignal): Promise<void>;
  /**
   * Resolves once the sandbox is ready: it said so *and* its port accepts. After a rejection nothing is left behind.
   *
   * @throws {@link ExecutorError} SANDBOX_START_FAILED, SANDBOX_EXITED_EARLY, START_TIMEOUT (both with `logTail`), IMAGE_UNUSABLE,
   * ISOLATION_UNAVAILABLE, GPU_UNAVAILABLE, SGX_UNAVAILABLE, NETWORK_UNAVAILABLE, ENGINE_UNAVAILABLE, ENGINE_FAILED, DISK_FULL.
   */
  start(spec: SandboxSpec, signal: AbortSignal): Promise<Sandbox>;
  /** What earlier lives of this owner left; sweeps what is no sandbox (spare networks, folders) by itself. */
  leftovers(signal: AbortSignal): Promise<readonly Leftover[]>;
  health(signal: AbortSignal): Promise<DriverHealth>;
  /** Every class that is configured or built in, usable or not. Synchronous and cheap. */
  classes(): readonly ClassReport[];
  /**
   * Tests every class anew, or one, in short-lived sandboxes of its own; callers at once share one test. Never throws for a
   * class that fails.
   */
  probe(signal: AbortSignal, isolation?: IsolationClass): Promise<readonly ClassReport[]>;
  /** Takes new settings; classes that they change are unproven, and unusable, until their probe has ended. */
  configure(settings: DriverSettings): void;
  /** What tasks can reach. Synchronous and cheap. */
  networks(): NetworkReport;
  /** Whether a peer address belongs to a task, so that the doors can turn it away. Synchronous and cheap. */
  isTaskAddress(peer: PeerAddress): boolean;
}

/** One accepted connection, by both its ends. */
export interface PeerAddress {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

import type { Log } from "../../core/index.ts";
import type { CardTrial } from "./cards/card-trial.ts";
import type { Deaths } from "./container/deaths.ts";
import type { Owner } from "./container/labels.ts";
import type { Engine } from "./engine/engine.ts";
import type { ClassBook } from "./isolation/class-book.ts";
import type { WorkFiles } from "./job/work-files.ts";
import type { NetworkMaker } from "./network/make-network.ts";
import type { NetworkPool } from "./network/network-pool.ts";
import type { NetworkRules } from "./network/network-rules.ts";
import type { ReachPlan } from "./network/reach.ts";
import type { WorkerLimits } from "./worker/worker-limits.ts";

/** What the parts of one open driver share. */
export interface World {
  readonly engine: Engine;
  readonly owner: Owner;
  readonly reach: ReachPlan;
  readonly seccomp: string | undefined;
  readonly deaths: Deaths;
  readonly maker: NetworkMaker;
  readonly pool: NetworkPool;
  readonly rules: NetworkRules;
  readonly log: Log | undefined;
  readonly classes: ClassBook;
  readonly cards: CardTrial;
  readonly files: WorkFiles;
  readonly workerLimits: WorkerLimits;
  /** Ids of the containers and networks that this life has made or taken over; they are no leftovers. */
  readonly known: Set<string>;
  /** Aborts when the driver lets go. */
  readonly closing: AbortSignal;
  /** Carries tidying to its end behind a caller's back; its failure is logged, and disposing the driver waits for it. */
  inBackground(work: () => Promise<void>): void;
}

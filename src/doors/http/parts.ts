import type { Access } from "../../contract/v1/events.ts";
import type { Executor } from "../../engine/executor.ts";
import type { EventStreams } from "./answer/event-streams.ts";
import type { ByteBudget } from "./body/byte-budget.ts";
import type { HttpDoorOptions } from "./door-options.ts";
import type { HostWatch } from "./feed/host-watch.ts";
import type { HttpLimits } from "./limits.ts";
import type { Refusals } from "./refusals.ts";
import type { RequestContext } from "./request-context.ts";
import type { RunBook } from "./runs/run-book.ts";
import type { RunDesk } from "./runs/run-desk.ts";

/** What the routes of one door share. */
export interface DoorParts {
  readonly executor: Executor;
  readonly options: HttpDoorOptions;
  readonly limits: HttpLimits;
  readonly held: ByteBudget;
  readonly streams: EventStreams;
  readonly runs: RunDesk;
  /** What can be told of runs. */
  readonly book: RunBook;
  readonly watch: HostWatch;
  readonly refusals: Refusals;
  /** What the sender of a request may do. */
  accessOf(context: RequestContext): Access;
  isClosing(): boolean;
}

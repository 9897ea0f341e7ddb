import type {
  AllocationEnd,
  IndexifyEvent,
  IndexifyObserver,
  IndexifyOperation,
  WorkerVersions,
} from "../../../core/index.ts";
import { ALLOCATION_ENDS, INDEXIFY_EVENTS, INDEXIFY_OPERATIONS } from "../../../core/index.ts";
import type { Sample } from "../registry.ts";
import { Histogram } from "../series.ts";
import { CUSTOMER_BUCKETS, SIZE_BUCKETS } from "./buckets.ts";
import { OPERATIONS } from "./indexify-table.ts";

/** Names come from the server and from workers: so many of them are told apart at most. */
const MOST_NAMES = 1000;
const MEGABYTE = 1024 * 1024;

interface OperationCount {
  done: number;
  failed: number;
  readonly latency: Histogram;
}

/** Counts what the Indexify door tells, in plain numbers. */
export class IndexifyCounters implements IndexifyObserver {
  readonly #operations = new Map<IndexifyOperation, OperationCount>();
  readonly #events = new Map<IndexifyEvent, number>(INDEXIFY_EVENTS.map((event) => [event, 0]));
  readonly #ends = new Map<AllocationEnd, number>(ALLOCATION_ENDS.map((end) => [end, 0]));
  readonly #versions = new Map<string, { readonly labels: Sample["labels"]; count: number }>();
  readonly #functions = new Set<string>();
  readonly completion = new Histogram(CUSTOMER_BUCKETS);
  readonly sizes = { function_call: new Histogram(SIZE_BUCKETS), state_report: new Histogram(SIZE_BUCKETS) };
  fetched = 0;

  constructor() {
    for (const name of INDEXIFY_OPERATIONS) {
      this.#operations.set(name, { done: 0, failed: 0, latency: new Histogram(OPERATIONS[name].buckets) });
    }
  }

  done(operation: IndexifyOperation, tookMs: number, hasFailed: boolean): void {
    const count = this.operation(operation);
    count.done += 1;
    if (hasFailed) count.failed += 1;
    count.latency.observe(tookMs / 1000);
  }

  happened(event: IndexifyEvent): void {
    this.#events.set(event, this.event(event) + 1);
  }

  sent(what: "function_call" | "state_report", bytes: number): void {
    this.sizes[what].observe(bytes / MEGABYTE);
  }

  workerAnswered({ version, sdkVersion, sdkLanguage, sdkLanguageVersion }: WorkerVersions): void {
    const key = JSON.stringify([version, sdkVersion, sdkLanguage, sdkLanguageVersion]);
    const known = this.#versions.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#versions.size < MOST_NAMES) {
      const labels = {
        ...{ version, sdk_version: sdkVersion, sdk_language: sdkLanguage },
        sdk_language_version: sdkLanguageVersion,
      };
      this.#versions.set(key, { labels, count: 1 });
    }
  }

  allocationFetched(functionName: string): void {
    this.fetched += 1;
    if (this.#functions.size < MOST_NAMES) this.#functions.add(functionName);
  }

  allocationCompleted(end: AllocationEnd, tookMs: number): void {
    this.#ends.set(end, (this.#ends.get(end) ?? 0) + 1);
    this.completion.observe(tookMs / 1000);
  }

  operation(name: IndexifyOperation): OperationCount {
    const count = this.#operations.get(name);
    if (count === undefined) throw new TypeError(`nothing counts ${name}`);
    return count;
  }

  event(name: IndexifyEvent): number {
    return this.#events.get(name) ?? 0;
  }

  /** Those of which an allocation was fetched. */
  get functions(): ReadonlySet<string> {
    return this.#functions;
  }

  versions(): Sample[] {
    return [...this.#versions.values()].map(({ labels, count }) => ({ labels, value: count }));
  }

  completed(): Sample[] {
    const ends = [...this.#ends];
    return [
      {
        labels: { outcome_code: "all", failure_reason: "all" },
        value: ends.reduce((sum, [, count]) => sum + count, 0),
      },
      ...ends.map(([end, value]) => ({
        labels:
          end === "success"
            ? { outcome_code: "success", failure_reason: "none" }
            : { outcome_code: "failure", failure_reason: end },
        value,
      })),
    ];
  }
}

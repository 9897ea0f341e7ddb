import type { QueuedReport, ReportType } from "./report-queue.ts";

/** One heartbeat that the server took, in numbers. */
export interface ReportedHeartbeat {
  /** Whether it carried everything that there is to know of this host. */
  readonly isFullState: boolean;
  readonly commandResponses: number;
  readonly allocationOutcomes: number;
  readonly allocationLogEntries: number;
  /** Of the reports. */
  readonly bytes: number;
}

export function reportedHeartbeat(reports: readonly QueuedReport[], isFullState: boolean): ReportedHeartbeat {
  const count = (type: ReportType): number => reports.filter(({ report }) => report.type === type).length;
  return {
    isFullState,
    commandResponses: count("response"),
    allocationOutcomes: count("outcome"),
    allocationLogEntries: count("entry"),
    bytes: reports.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

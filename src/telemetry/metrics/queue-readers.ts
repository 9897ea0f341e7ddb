import type { SourceFigures } from "../../core/index.ts";
import type { ReadersOf, Sample } from "./registry.ts";
import { single } from "./series.ts";
import type { ShownQueue } from "./sources.ts";
import { QUEUE_STEPS } from "./sources.ts";
import type { QueueMetricName } from "./table.ts";

/** Reads every metric of `QUEUE_METRICS`. */
export function queueReaders(queue: ShownQueue): ReadersOf<QueueMetricName> {
  const figure = (name: keyof SourceFigures) => (): Sample[] => single(queue.view().figures[name]);
  return {
    hearth_queue_up: () => single(queue.view().state === "connected" ? 1 : 0),
    hearth_queue_claimed_total: figure("claimed"),
    hearth_queue_taken_over_total: figure("takenOver"),
    hearth_queue_released_total: figure("released"),
    hearth_queue_committed_total: figure("committed"),
    hearth_queue_lost_total: figure("lost"),
    hearth_queue_dead_lettered_total: figure("deadLettered"),
    hearth_queue_vanished_total: figure("vanished"),
    hearth_queue_reconnects_total: figure("reconnects"),
    hearth_queue_emptied_total: figure("emptied"),
    hearth_queue_buffered: figure("buffered"),
    hearth_queue_jobs: () => {
      const { jobs } = queue.view();
      return QUEUE_STEPS.map((step) => ({
        value: jobs.filter((job) => job.step === step).length,
        labels: { step },
      }));
    },
  };
}

import type { SpanExporter } from "@opentelemetry/sdk-trace-node";
import type { Log } from "../../core/index.ts";

/** Requests to the collector; each carries many spans. */
export interface ExportCounts {
  ok: number;
  failed: number;
}

type Done = Parameters<SpanExporter["export"]>[1];

/** OpenTelemetry's word for a request that went well; its own name for it would be a dependency more. */
const OK = 0;

/**
 * The same exporter; what becomes of its requests is counted, and said in the log when it changes: a collector that is away for a
 * night is two lines.
 */
export function watchExports(
  exporter: SpanExporter,
  counts: ExportCounts,
  url: string,
  log: Log,
): SpanExporter {
  let isFailing = false;
  const settle = ({ code, error }: Parameters<Done>[0]): void => {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-comparison -- the enum is of a package that is not ours to name
    const isOk = code === OK;
    counts[isOk ? "ok" : "failed"] += 1;
    if (isOk !== isFailing) return;
    isFailing = !isOk;
    if (isOk) log.log("info", "traces.regained", { url });
    else log.log("warn", "traces.failed", { url, error });
  };
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        settle(result);
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
  };
}

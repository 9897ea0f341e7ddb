import type { Observer, Tracer } from "../../core/index.ts";

/** Follows calls, and sends what it saw to a collector. Disposing it sends what is left, for a moment. */
export interface Traces extends AsyncDisposable {
  readonly tracer: Tracer;
  readonly observer: Observer;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Opens the export of traces if the environment names a collector, by OpenTelemetry's own variables. Otherwise nothing is
 * loaded, and a call costs nothing more.
 */
export async function openTraces(env: Env, version: string): Promise<Traces | undefined> {
  const isWanted =
    isSet(env["OTEL_EXPORTER_OTLP_ENDPOINT"]) || isSet(env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]);
  if (!isWanted || env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return undefined;
  const { exportTraces } = await import("./export-traces.ts");
  return exportTraces(version, env["OTEL_SERVICE_NAME"]);
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "";
}

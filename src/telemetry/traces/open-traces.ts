import type { Log, Observer, Tracer } from "../../core/index.ts";
import type { ExportCounts } from "./watch-exports.ts";

/** Follows calls, and sends what it saw to a collector. Disposing it sends what is left, for a moment. */
export interface Traces extends AsyncDisposable {
  readonly tracer: Tracer;
  readonly observer: Observer;
  readonly exports: Readonly<ExportCounts>;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Opens the export of traces if the environment names a collector, by OpenTelemetry's own variables. Otherwise nothing is
 * loaded, and a call costs nothing more. A variable that names none is said in the log, and nothing is sent: the library would send
 * it to a port of this host that nobody named.
 */
export async function openTraces(env: Env, version: string, log: Log): Promise<Traces | undefined> {
  const wanted = ENDPOINTS.find((name) => isSet(env[name]));
  if (wanted === undefined || env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return undefined;
  const url = env[wanted] ?? "";
  if (!isHttp(url)) {
    log.log("warn", "traces.failed", {
      setting: wanted,
      reason: "it must be an http:// or https:// address",
      url,
    });
    return undefined;
  }
  const { exportTraces } = await import("./export-traces.ts");
  return exportTraces({ version, serviceName: env["OTEL_SERVICE_NAME"], url, log });
}

/** The stronger first. */
const ENDPOINTS = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"] as const;

function isHttp(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "";
}

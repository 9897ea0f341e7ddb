import { hostname } from "node:os";
import type { Context, Tracer as OtelTracer, Span } from "@opentelemetry/api";
import { createTraceState, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import type { SpanExporter } from "@opentelemetry/sdk-trace-node";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import type { CallRequest, CallStory, CallTrace, Log } from "../../core/index.ts";
import { ExecutorError, NO_OBSERVER } from "../../core/index.ts";
import { spansOf } from "./call-spans.ts";
import type { Traces } from "./open-traces.ts";
import { readTraceParent } from "./trace-parent.ts";
import { watchExports } from "./watch-exports.ts";

/** A collector that does not answer holds nothing up for longer. */
const EXPORT_DEADLINE_MS = 3_000;
const END_DEADLINE_MS = 2_000;
/** Spans that wait for the collector; more are dropped. */
const MOST_WAITING_SPANS = 4096;
const BATCH_DELAY_MS = 1_000;

interface OpenCall extends CallTrace {
  /** From the engine's clock to the time since the epoch; the same for all spans of a call, so that they fit each other. */
  readonly offsetMs: number;
  readonly span: Span;
  readonly context: Context;
}

export interface ExportOptions {
  readonly version: string;
  readonly serviceName?: string | undefined;
  /** What the environment names, for the log; the exporter reads it by itself. */
  readonly url: string;
  readonly log: Log;
}

/** Traces over OTLP/HTTP. Where to, and how many of them: OpenTelemetry's own variables say. */
export function exportTraces({ version, serviceName = "hearth", url, log }: ExportOptions): Traces {
  const exports = { ok: 0, failed: 0 };
  const exporter = new OTLPTraceExporter({ timeoutMillis: EXPORT_DEADLINE_MS });
  const provider = openProvider(version, serviceName, watchExports(exporter, exports, url, log));
  const tracer = provider.getTracer("hearth", version);
  return {
    exports,
    tracer: { begin: (headers, acceptedAtMs) => begin(tracer, headers, acceptedAtMs) },
    observer: { ...NO_OBSERVER, callEnded: (call) => end(tracer, call) },
    [Symbol.asyncDispose]: () => shutDown(provider),
  };
}

function openProvider(version: string, serviceName: string, exporter: SpanExporter): NodeTracerProvider {
  return new NodeTracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({
        "service.name": serviceName,
        "service.version": version,
        "host.name": hostname(),
      }),
    ),
    spanProcessors: [
      new BatchSpanProcessor(exporter, {
        maxQueueSize: MOST_WAITING_SPANS,
        scheduledDelayMillis: BATCH_DELAY_MS,
        exportTimeoutMillis: EXPORT_DEADLINE_MS,
      }),
    ],
  });
}

function begin(tracer: OtelTracer, headers: CallRequest["headers"], acceptedAtMs: number): OpenCall {
  const parent = readTraceParent(headers);
  const offsetMs = Date.now() - performance.now();
  const startTime = acceptedAtMs + offsetMs;
  const span = tracer.startSpan("hearth.call", { kind: SpanKind.SERVER, startTime }, contextOf(parent));
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    span,
    offsetMs,
    context: trace.setSpan(ROOT_CONTEXT, span),
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`,
    tracestate: parent?.tracestate,
  };
}

function end(tracer: OtelTracer, call: CallStory): void {
  // Whatever has a trace got it from `begin`.
  const open = call.trace as OpenCall | undefined;
  if (open === undefined) return;
  const { offsetMs } = open;
  if (open.span.isRecording()) {
    const contexts = new Map([["hearth.call", open.context]]);
    for (const { name, parent, beganAtMs, endedAtMs, isOutgoing } of spansOf(call)) {
      const kind = isOutgoing ? SpanKind.CLIENT : SpanKind.INTERNAL;
      const context = contexts.get(parent) ?? open.context;
      const span = tracer.startSpan(name, { kind, startTime: beganAtMs + offsetMs }, context);
      contexts.set(name, trace.setSpan(ROOT_CONTEXT, span));
      span.end(endedAtMs + offsetMs);
    }
    describe(open.span, call);
  }
  open.span.end((call.endedAtMs ?? call.acceptedAtMs) + offsetMs);
}

async function shutDown(provider: NodeTracerProvider): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, END_DEADLINE_MS);
  });
  // A collector that is away has no use for what is left.
  await Promise.race([provider.shutdown().catch(() => undefined), late]);
  clearTimeout(timer);
}

function contextOf(parent: ReturnType<typeof readTraceParent>): Context {
  if (parent === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, flags, tracestate } = parent;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: flags & 1,
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }),
  });
}

function describe(span: Span, call: CallStory): void {
  const { task, placement, error } = call;
  span.setAttributes({
    "hearth.door": call.door,
    "hearth.image": task.image,
    "hearth.isolation.asked": task.isolation,
    "hearth.outcome": call.end ?? "failed",
    "hearth.request.bytes": call.bytesIn,
    "hearth.answer.bytes": call.bytesOut,
  });
  if (call.runId !== undefined) span.setAttribute("hearth.run_id", call.runId);
  if (call.status !== undefined) span.setAttribute("http.response.status_code", call.status);
  if (placement !== undefined) {
    span.setAttributes({
      "hearth.sandbox_id": placement.sandboxId,
      "hearth.isolation": placement.isolation,
      "hearth.start": placement.start,
      "hearth.image.digest": placement.imageDigest,
    });
  }
  if (error === undefined) return;
  const { code, message } = ExecutorError.from(error);
  span.setAttribute("error.type", code);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

import type { BodySource, CallRequest, CallTrace } from "../../core/index.ts";

/** What goes to the task of what the caller sent: the same, with our place in its trace if there is one. */
export function outgoing(request: CallRequest, trace: CallTrace | undefined): CallRequest {
  if (trace === undefined) return request;
  const headers = request.headers.filter(([name]) => !/^trace(?:parent|state)$/i.test(name));
  headers.push(["traceparent", trace.traceparent]);
  if (trace.tracestate !== undefined) headers.push(["tracestate", trace.tracestate]);
  return { ...request, headers };
}

/** Passes a body through and says how long each piece is. */
export function counted(source: BodySource, onBytes: (bytes: number) => void): BodySource {
  return {
    length: source.length,
    start: (sink) =>
      source.start({
        onData: (chunk) => {
          onBytes(chunk.byteLength);
          sink.onData(chunk);
        },
        onEnd: () => sink.onEnd(),
        onError: (error) => sink.onError(error),
      }),
    pause: () => source.pause(),
    resume: () => source.resume(),
    destroy: () => source.destroy(),
  };
}

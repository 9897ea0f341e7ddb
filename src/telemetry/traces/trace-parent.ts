import type { CallRequest } from "../../core/index.ts";

/** What a caller says of its trace (W3C Trace Context, section 3.2), checked. */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
  readonly tracestate: string | undefined;
}

const FORM =
  /^\s*(?<version>[0-9a-f]{2})-(?<traceId>[0-9a-f]{32})-(?<spanId>[0-9a-f]{16})-(?<flags>[0-9a-f]{2})(?<rest>-.*)?\s*$/;
const ALL_ZEROS = /^0+$/;

/** The caller's place in its trace; `undefined` when it gives none that is valid, and then a trace begins here. */
export function readTraceParent(headers: CallRequest["headers"]): TraceParent | undefined {
  const { version, traceId, spanId, flags, rest } =
    FORM.exec(valueOf(headers, "traceparent") ?? "")?.groups ?? {};
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  // A later version may say more, but not this one; all zeros are no id.
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (ALL_ZEROS.test(traceId) || ALL_ZEROS.test(spanId)) return undefined;
  return {
    traceId,
    spanId,
    flags: Number.parseInt(flags, 16),
    tracestate: valueOf(headers, "tracestate"),
  };
}

function valueOf(headers: CallRequest["headers"], wanted: string): string | undefined {
  return headers.find(([name]) => name.toLowerCase() === wanted)?.[1];
}

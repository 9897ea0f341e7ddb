import type { Config } from "./schema.ts";

const toMs = (seconds: number): number => Math.max(0, Math.round(seconds * 1000));

/** The limits of the HTTP door, in its own words and base units. */
export function toHttpLimits(http: Config["http"]) {
  return {
    bodyBytes: http.body_bytes,
    answerBytes: http.answer_bytes,
    recordBytes: http.record_bytes,
    heldBytes: http.held_bytes,
    headerBytes: http.header_bytes,
    headerTimeoutMs: toMs(http.header_timeout_s),
    bodyTimeoutMs: toMs(http.body_timeout_s),
    writeTimeoutMs: toMs(http.write_timeout_s),
    keepAliveMs: toMs(http.keep_alive_s),
    connections: http.connections,
    connectionsPerPeer: http.connections_per_peer,
    activeRuns: http.active_runs,
    closeGraceMs: toMs(http.close_grace_s),
  };
}

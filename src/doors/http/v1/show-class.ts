import type { Host } from "../../../contract/v1/host.ts";
import type { ClassReport } from "../../../core/index.ts";

/** A class as `/v1/host` shows it. */
export function showClass({
  isolation,
  runtime,
  state,
  reasons,
  sight,
}: ClassReport): Host["classes"][number] {
  return {
    isolation,
    ...(runtime === undefined ? {} : { runtime }),
    state,
    reasons: [...reasons],
    ...(sight === undefined
      ? {}
      : { sight: { ...sight, enforced: [...sight.enforced], ignored: [...sight.ignored] } }),
  };
}

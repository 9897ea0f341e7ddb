import type { Finding } from "./cli/index.ts";
import type { NetworkReport } from "./core/index.ts";

const ADVICE = "docs/network.md says what the rules need.";

/** What tasks may be let reach here, in plain words, and why not more. */
export function networkFindings({
  default: fallback,
  offered,
  isFiltered,
  reasons,
}: NetworkReport): Finding[] {
  if (fallback === undefined) {
    const text = ["what a task reaches is not limited here", ...reasons].join("; ");
    return [{ area: "isolate", state: "limited", text, advice: ADVICE }];
  }
  const isOffered = offered.includes(fallback);
  const what = [
    `a task may be let reach: ${offered.length === 0 ? "nothing is on offer" : offered.join(", ")}`,
    `calls that say nothing get ${fallback}${isOffered ? "" : ", which is not on offer: they are refused"}`,
    ...(isFiltered ? ["rules on this host hold them to it"] : []),
  ].join("; ");
  const text = [what, ...reasons].join("; ");
  if (!isOffered) return [{ area: "isolate", state: "broken", text, advice: ADVICE }];
  return isFiltered
    ? [{ area: "isolate", state: "ok", text }]
    : [{ area: "isolate", state: "limited", text, advice: ADVICE }];
}

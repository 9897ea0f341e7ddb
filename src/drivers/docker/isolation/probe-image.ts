import type { ProbeArchitecture } from "../../../std/index.ts";
import { probeProgram } from "../../../std/index.ts";
import type { BuiltInImage } from "../image/built-in-image.ts";
import { builtInImage } from "../image/built-in-image.ts";

export const PROBE_PATH = "/probe";
/** The same program, and whoever runs it should become root; in a sandbox of ours nobody does. */
export const SETUID_COPY_PATH = "/gain";

/** The image of test sandboxes. Its bytes depend on the architecture only. */
export function probeImage(architecture: ProbeArchitecture): BuiltInImage {
  const content = probeProgram(architecture);
  const files = [
    { path: PROBE_PATH.slice(1), content, mode: 0o555 },
    { path: SETUID_COPY_PATH.slice(1), content, mode: 0o4755 },
  ];
  return builtInImage("hearth/probe", architecture, files, PROBE_PATH);
}

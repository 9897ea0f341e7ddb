import * as z from "zod";
import type { HostInfo } from "../../../contract/executer-tracker/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { ask } from "./bounded-get.ts";

const TIMEOUT_MS = 5_000;
const HEADERS = { "Metadata-Flavor": "Google" } as const;

/** What Google Cloud says of a machine to those on it (section 3). */
export interface CloudMetadata {
  /** Whether this is such a machine. Asked once; later questions cost nothing. */
  isCloud(signal: AbortSignal): Promise<boolean>;
  /** @throws {@link ExecutorError} CONFIG_INVALID when the machine is one of the cloud's and does not say what it is. */
  hostInfo(signal: AbortSignal): Promise<HostInfo>;
  /** One value, such as `attributes/resource_pool` or `preempted`; `undefined` if there is none, or nobody to ask. */
  value(key: string, signal: AbortSignal): Promise<string | undefined>;
}

const instance = z.looseObject({
  machineType: z.string(),
  name: z.string(),
  id: z.union([z.string(), z.number()]),
  scheduling: z.looseObject({ preemptible: z.string() }),
});

/** @param host of the metadata server, such as `metadata.google.internal`. */
export function cloudMetadata(host: string, hostname: string): CloudMetadata {
  const base = `http://${host}`;
  let known: Promise<boolean> | undefined;

  async function detect(signal: AbortSignal): Promise<boolean> {
    try {
      const { status, headers } = await ask(base, { headers: HEADERS, timeoutMs: TIMEOUT_MS, signal });
      return status === 200 && headers.get("metadata-flavor") === "Google";
    } catch {
      // Elsewhere the name means nothing.
      signal.throwIfAborted();
      return false;
    }
  }

  async function isCloud(signal: AbortSignal): Promise<boolean> {
    known ??= detect(signal);
    try {
      return await known;
    } catch (error) {
      known = undefined;
      throw error;
    }
  }

  return {
    isCloud,
    async hostInfo(signal) {
      if (!(await isCloud(signal))) return { host_type: "inductiva-hardware", hostname };
      const url = `${base}/computeMetadata/v1/instance/?recursive=true`;
      const { status, text } = await ask(url, { headers: HEADERS, timeoutMs: TIMEOUT_MS, signal });
      if (status !== 200) throw unreadable(`it answers ${status}`);
      return toHostInfo(text);
    },
    async value(key, signal) {
      if (!(await isCloud(signal))) return undefined;
      try {
        const url = `${base}/computeMetadata/v1/instance/${key}`;
        const { status, text } = await ask(url, { headers: HEADERS, timeoutMs: TIMEOUT_MS, signal });
        return status === 200 ? text : undefined;
      } catch {
        signal.throwIfAborted();
        return undefined;
      }
    },
  };
}

function toHostInfo(text: string): HostInfo {
  const parsed = instance.safeParse(readJson(text));
  if (!parsed.success) throw unreadable(parsed.error.issues.map(({ path }) => path.join(".")).join(", "));
  // It holds keys of people who may log in.
  const { attributes: _, ...metadata } = parsed.data;
  return {
    host_type: "gcloud",
    vm_type: metadata.machineType,
    vm_name: metadata.name,
    vm_id: String(metadata.id),
    preemptible: isTrue(metadata.scheduling.preemptible),
    vm_metadata: metadata,
  };
}

/** As the cloud writes it: `TRUE`, and only that way round. */
export function isTrue(text: string | undefined): boolean {
  return ["t", "true"].includes((text ?? "").trim().toLowerCase());
}

/** Ids of machines have more digits than a number here holds: they are kept as they are written. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text.replace(/("id"\s*:\s*)(\d{15,})/g, '$1"$2"'));
  } catch {
    return undefined;
  }
}

function unreadable(reason: string): ExecutorError {
  return new ExecutorError("INTERNAL", {
    reason: `the cloud's description of this machine cannot be read: ${reason}`,
  });
}

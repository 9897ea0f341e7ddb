/** What the Indexify door is told by files and settings, read and judged before anything is opened. */
import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import type { Config } from "./config/index.ts";
import { parseBind } from "./config/index.ts";
import type { WorkerBind } from "./core/index.ts";
import { ExecutorError, MEBIBYTE } from "./core/index.ts";
import type { ResourceOverrides } from "./doors/indexify/host/host-resources.ts";
import type { ChannelOptions, ChannelTls } from "./std/grpc/open-channel.ts";

type IndexifyConfig = Config["indexify"];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MESSAGE_BYTES = 32 * MEBIBYTE;
/** A connection that is open on this side only is noticed by a ping that nobody answers; later calls then make a new one. */
const KEEPALIVE = { idleMs: 10_000, timeoutMs: 8_000 } as const;
const RECONNECT = { firstMs: 500, maxMs: 5_000 } as const;

/** How the server is reached. @throws {@link ExecutorError} CONFIG_INVALID for a file that cannot be read. */
export async function readServerChannel({ server_addr: url, tls }: IndexifyConfig): Promise<ChannelOptions> {
  const [scheme = "", rest = ""] = url.split("://");
  return {
    address: rest.replace(/\/$/, ""),
    tls: scheme === "https" ? await readTls(tls) : undefined,
    maxSendBytes: MESSAGE_BYTES,
    maxReceiveBytes: MESSAGE_BYTES,
    keepalive: KEEPALIVE,
    reconnect: RECONNECT,
  };
}

async function readTls({ ca, cert, key, name }: IndexifyConfig["tls"]): Promise<ChannelTls> {
  if ((cert === "") !== (key === "")) {
    throw wrong(`indexify.tls.${cert === "" ? "cert" : "key"}`, "a certificate and its key come together");
  }
  const [caText, certText, keyText] = await Promise.all([
    readPem(ca, "ca"),
    readPem(cert, "cert"),
    readPem(key, "key"),
  ]);
  return { ca: caText, cert: certText, key: keyText, serverName: name === "" ? undefined : name };
}

async function readPem(path: string, field: string): Promise<Buffer | undefined> {
  if (path === "") return undefined;
  try {
    return await readFile(path);
  } catch (cause) {
    const { code } = cause as { readonly code?: unknown };
    throw wrong(`indexify.tls.${field}`, `${path} cannot be read (${String(code)})`, cause);
  }
}

/** What this host is called on the server: as the operator says, or a name that is made once and kept in a file. */
export async function executorIdOf({ executor_id: given }: IndexifyConfig, file: string): Promise<string> {
  if (given !== "") return given;
  const kept = await readFile(file, "utf8").catch(() => "");
  if (UUID.test(kept.trim())) return kept.trim();
  const fresh = randomUUID();
  await writeFile(`${file}.new`, `${fresh}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return fresh;
}

/** What the operator says of the host's size. */
export function overridesOf({ resources: { cpu, mem, disk } }: IndexifyConfig): ResourceOverrides {
  return {
    ...(cpu > 0 ? { cpuCount: cpu } : {}),
    ...(mem > 0 ? { memoryBytes: mem * MEBIBYTE } : {}),
    ...(disk > 0 ? { diskBytes: disk * MEBIBYTE } : {}),
  };
}

export function labelsOf({ labels }: IndexifyConfig): Readonly<Record<string, string>> {
  const pairs = labels.map((label): [string, string] => {
    const at = label.indexOf("=");
    return [label.slice(0, at), label.slice(at + 1)];
  });
  return Object.fromEntries(pairs);
}

export function bindsOf({ binds }: IndexifyConfig): readonly WorkerBind[] {
  return binds.flatMap((entry) => parseBind(entry) ?? []);
}

function wrong(field: string, reason: string, cause?: unknown): ExecutorError {
  return new ExecutorError("CONFIG_INVALID", { field, reason }, { cause });
}

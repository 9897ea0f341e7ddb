/** What the Indexify door is told by files and settings, read and judged before anything is opened. */
import { randomUUID, X509Certificate } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { createSecureContext } from "node:tls";
import type { Config } from "./config/index.ts";
import { parseBind } from "./config/index.ts";
import type { Log, WorkerBind } from "./core/index.ts";
import { ExecutorError, MEBIBYTE } from "./core/index.ts";
import type { ResourceOverrides } from "./doors/indexify/host/host-resources.ts";
import type { ChannelOptions, ChannelTls } from "./std/grpc/open-channel.ts";

type IndexifyConfig = Config["indexify"];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MESSAGE_BYTES = 32 * MEBIBYTE;
/** A connection that is open on this side only is noticed by a ping that nobody answers; later calls then make a new one. */
const KEEPALIVE = { idleMs: 10_000, timeoutMs: 8_000 } as const;
const RECONNECT = { firstMs: 500, maxMs: 5_000 } as const;

/**
 * How the server is reached.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID for files of TLS that cannot be read, do not belong together or would not be used.
 */
export async function readServerChannel({ server_addr: url, tls }: IndexifyConfig): Promise<ChannelOptions> {
  const [scheme = "", rest = ""] = url.split("://");
  const isSafe = scheme === "https";
  if (!isSafe && Object.values(tls).some((value) => value !== "")) {
    throw wrong("indexify.server_addr", "the settings of indexify.tls are for https://, and this is http://");
  }
  return {
    address: rest.replace(/\/$/, ""),
    tls: isSafe ? await readTls(tls) : undefined,
    ...(isSafe ? { renewTls: () => readTls(tls) } : {}),
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
  checkCertificate(caText, ca, "ca");
  checkCertificate(certText, cert, "cert");
  checkPair(certText, keyText, key);
  return { ca: caText, cert: certText, key: keyText, serverName: name === "" ? undefined : name };
}

/** A file without a certificate in it is one that nothing is checked against. */
function checkCertificate(pem: Buffer | undefined, path: string, field: string): void {
  if (pem === undefined) return;
  try {
    new X509Certificate(pem);
  } catch (cause) {
    throw wrong(`indexify.tls.${field}`, `${path} holds no certificate`, cause);
  }
}

function checkPair(cert: Buffer | undefined, key: Buffer | undefined, path: string): void {
  if (cert === undefined || key === undefined) return;
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    const { message } = cause as Error;
    throw wrong("indexify.tls.key", `${path} is not the key of that certificate (${message})`, cause);
  }
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
export async function executorIdOf(
  { executor_id: given }: IndexifyConfig,
  file: string,
  log: Log,
): Promise<string> {
  if (given !== "") return given;
  const kept = await readFile(file, "utf8").catch((error: unknown) => {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : "";
  });
  if (kept !== undefined && UUID.test(kept.trim())) return kept.trim();
  const fresh = randomUUID();
  if (kept !== undefined) log.log("warn", "indexify.id-replaced", { file, executorId: fresh });
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

/** Where the server reaches the proxy: as the operator says, or by what it listens on. */
export function advertisedProxy({ proxy: { advertise, host } }: IndexifyConfig, port: number): string {
  if (advertise !== "") return advertise;
  const isEvery = host === "0.0.0.0" || host === "::";
  return `${isEvery ? hostname() : host.includes(":") ? `[${host}]` : host}:${port}`;
}

function wrong(field: string, reason: string, cause?: unknown): ExecutorError {
  return new ExecutorError("CONFIG_INVALID", { field, reason }, { cause });
}

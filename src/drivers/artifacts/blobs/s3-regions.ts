import { HeadBucketCommand } from "@aws-sdk/client-s3";
import { ExecutorError } from "../../../core/index.ts";
import { orAbort, withDeadline } from "../../../std/index.ts";
import type { Connection, ConnectionOptions } from "../s3/connection.ts";
import { openConnection } from "../s3/connection.ts";

/** A way to every bucket. */
export interface Regions extends Disposable {
  /** @throws {@link ExecutorError} ARTIFACT_NOT_FOUND when there is no such bucket; ARTIFACT_STORE_*; the signal's reason. */
  connectionTo(bucket: string, signal: AbortSignal): Promise<Connection>;
}

/** Whose regions are remembered; past it those learned first are asked for again. */
const BUCKETS_LIMIT = 1000;
/** Who may be asked where a bucket is, when nothing says where this host is. */
const ANY_REGION = "us-east-1";
const QUESTION_MS = 60_000;
const STORE = "s3";

/**
 * One connection for each region that a bucket was found in, and one that goes where the settings of AWS say. A link is signed
 * for one region, and nobody can correct it on the way: so S3 is asked where a bucket is, once, before its first link.
 */
export function openRegions(options: ConnectionOptions): Regions {
  const connections = new Map<string | undefined, Connection>();
  const questions = new Map<string, Promise<Connection>>();
  const connectionIn = (region: string | undefined): Connection => {
    const known = connections.get(region);
    if (known !== undefined) return known;
    const where = region === undefined ? {} : { region };
    const opened = openConnection(STORE, { forcePathStyle: true, ...options, ...where });
    connections.set(region, opened);
    return opened;
  };
  const asker = openConnection(STORE, { ...options, region: askedRegion(options) });
  const ask = (bucket: string): Promise<Connection> => {
    const found = withDeadline(
      { ms: QUESTION_MS, code: "ARTIFACT_STORE_UNAVAILABLE", facts: { store: STORE, afterMs: QUESTION_MS } },
      (signal) => regionOf(asker, bucket, signal),
    ).then(connectionIn);
    questions.set(bucket, found);
    if (questions.size > BUCKETS_LIMIT) questions.delete(questions.keys().next().value ?? bucket);
    found.catch(() => questions.get(bucket) === found && questions.delete(bucket));
    return found;
  };
  return {
    // The answer serves others as well: one who gives up does not end the question.
    connectionTo: (bucket, signal) => orAbort(questions.get(bucket) ?? ask(bucket), signal),
    [Symbol.dispose]: () => {
      for (const connection of [asker, ...connections.values()]) connection[Symbol.dispose]();
    },
  };
}

const askedRegion = ({ region }: ConnectionOptions): string =>
  region ?? process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"] ?? ANY_REGION;

/** `undefined` when S3 does not say; it does also where it refuses or sends on. */
async function regionOf(asker: Connection, bucket: string, signal: AbortSignal): Promise<string | undefined> {
  const key = `${STORE}://${bucket}`;
  try {
    const head = await asker.send(
      key,
      signal,
      (client, inner) => client.send(new HeadBucketCommand({ Bucket: bucket }), { abortSignal: inner }),
      (error) => refusalOf(error) !== undefined,
    );
    return nameOf(head.BucketRegion);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    if (refusal.status === 404)
      throw new ExecutorError("ARTIFACT_NOT_FOUND", { key, reason: "there is no such bucket" });
    return refusal.region;
  }
}

interface Refusal {
  readonly status: number;
  readonly region: string | undefined;
}

/** What S3 answered instead of yes; `undefined` for what was not an answer, or one that may be another the next time. */
function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof ExecutorError) return undefined;
  const { $metadata, $response } = error as {
    readonly $metadata?: { readonly httpStatusCode?: number };
    /** Not in the library's types, and not enumerable. */
    readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
  };
  const status = $metadata?.httpStatusCode ?? 0;
  if (status < 300 || status >= 500 || status === 408 || status === 429) return undefined;
  return { status, region: nameOf($response?.headers?.["x-amz-bucket-region"]) };
}

/** It becomes part of a host's name. */
const nameOf = (region: string | undefined): string | undefined =>
  region !== undefined && /^[a-z0-9-]{1,63}$/.test(region) ? region : undefined;

import type { S3ClientConfig } from "@aws-sdk/client-s3";
import { S3Client } from "@aws-sdk/client-s3";
import { ExecutorError } from "../../../core/index.ts";
import { retry, withDeadline } from "../../../std/index.ts";
import { isExpired, mayPass, s3Failure } from "./failure.ts";

export interface ConnectionOptions {
  /** Without one, AWS's own for the region, or what `AWS_ENDPOINT_URL_S3` says. */
  readonly endpoint?: string;
  readonly region?: string;
  /** The bucket as the first part of the path, not of the host's name; the default wherever an endpoint is given. */
  readonly forcePathStyle?: boolean;
  /** A request that has not been answered by then is given up, and tried again. */
  readonly requestMs?: number;
  /** The pause before the second try; doubled for each that follows. */
  readonly firstPauseMs?: number;
}

/** One S3 endpoint with this host's credentials. */
export interface Connection extends Disposable {
  /**
   * Sends a request until it is answered or the tries are used up. Credentials that have run out are fetched anew, once.
   *
   * @throws {@link ExecutorError} ARTIFACT_*; the signal's reason. An error that `keep` claims is thrown as it came.
   */
  send<T>(key: string, signal: AbortSignal, work: Work<T>, keep?: (error: unknown) => boolean): Promise<T>;
  /** For what is only computed, such as presigned links. */
  client(): S3Client;
  readonly requestMs: number;
}

export type Work<T> = (client: S3Client, signal: AbortSignal) => Promise<T>;

const TRIES = 5;
const MAX_PAUSE_MS = 10_000;
const REQUEST_MS = 60_000;
const CONNECT_MS = 10_000;

/** Opens a way to S3. Credentials are looked for with the first request. */
export function openConnection(store: string, options: ConnectionOptions): Connection {
  let client = newClient(options);
  const requestMs = options.requestMs ?? REQUEST_MS;
  const once = <T>(work: Work<T>, signal: AbortSignal): Promise<T> =>
    withDeadline(
      {
        ms: requestMs,
        code: "ARTIFACT_STORE_UNAVAILABLE",
        facts: { store, afterMs: requestMs },
        parent: signal,
      },
      (inner) =>
        work(client, inner).catch((error: unknown) => {
          // The library has an error of its own for an abort; the reason is ours.
          throw inner.aborted ? inner.reason : error;
        }),
    );
  return {
    requestMs,
    client: () => client,
    async send(key, signal, work, keep = () => false) {
      let isFresh = false;
      const pauses = { tries: TRIES, firstMs: options.firstPauseMs ?? 200, maxMs: MAX_PAUSE_MS, signal };
      try {
        return await retry({ ...pauses, isWorthRetrying: mayPass }, async () => {
          try {
            return await once(work, signal);
          } catch (error) {
            if (isFresh || !isExpired(error)) throw error;
            isFresh = true;
            client.destroy();
            client = newClient(options);
            return once(work, signal);
          }
        });
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw keep(error) ? error : s3Failure(error, { store, key });
      }
    },
    [Symbol.dispose]: () => client.destroy(),
  };
}

/** A new client asks the whole chain for credentials again; one that lives keeps what it found until it runs out. */
function newClient(options: ConnectionOptions): S3Client {
  const endpoint = options.endpoint ?? process.env["AWS_ENDPOINT_URL_S3"] ?? process.env["AWS_ENDPOINT_URL"];
  const region = options.region ?? process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"];
  const config: S3ClientConfig = {
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: options.forcePathStyle ?? endpoint !== undefined,
    // A server of one's own has no regions, and its signatures want one all the same.
    ...(region !== undefined ? { region } : endpoint === undefined ? {} : { region: "us-east-1" }),
    // Else a presigned upload carries the checksum of an empty body (aws-sdk-js-v3#6994), and stores that are not AWS's are
    // asked for what they do not know. Bodies are covered by the signature, which holds their digest.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // Tries are counted here, in one place.
    maxAttempts: 1,
    requestHandler: { connectionTimeout: CONNECT_MS },
  };
  return new S3Client(config);
}

export const unavailable = (facts: {
  readonly store: string;
  readonly key: string;
  readonly reason: string;
}): ExecutorError => new ExecutorError("ARTIFACT_STORE_UNAVAILABLE", facts);

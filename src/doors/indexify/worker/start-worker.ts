import type { Clock, IndexifyObserver } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { ContainerTerminationReason } from "../../../gen/executor_api_pb.js";
import type { InfoResponse } from "../../../gen/function_executor_pb.js";
import {
  InitializationFailureReason,
  InitializationOutcomeCode,
  SerializedObjectEncoding,
} from "../../../gen/function_executor_pb.js";
import { isRpcError, RPC_CODES } from "../../../std/grpc/rpc-error.ts";
import { pause } from "../../../std/index.ts";
import { workerEncoding } from "../allocations/convert.ts";
import type { ContainerOrder } from "../commands/orders.ts";
import { timed } from "../observe/timed.ts";
import type { CodeCache } from "./code-cache.ts";
import type { WorkerClient } from "./worker-client.ts";

const CONNECT_PAUSE_MS = 100;

export interface StartOptions {
  readonly order: ContainerOrder;
  readonly code: Pick<CodeCache, "read">;
  readonly client: WorkerClient;
  readonly clock: Clock;
  readonly observer: IndexifyObserver;
  readonly times: { readonly readyMs: number };
  readonly signal: AbortSignal;
  /** It has said of what release it is; before its function is loaded. */
  onVersion(sdkVersion: string): void;
}

/** The worker's own word on how its function began. */
class InitializationFailed extends Error {
  readonly reason: ContainerTerminationReason;

  constructor(reason: ContainerTerminationReason) {
    super("the function could not be initialized");
    this.reason = reason;
  }
}

/**
 * Brings a program that was just started to where allocations can run in it: connected, asked who it is, given its code.
 *
 * @throws what `startFailure` reads.
 */
export async function startWorker(options: StartOptions): Promise<InfoResponse> {
  const { order, code, client, signal } = options;
  const [zip] = await Promise.all([
    timed(options, "application_download", signal, () => code.read(order, signal)),
    timed(options, "function_executor_establish_channel", signal, () => connect(options)),
  ]);
  const info = await timed(options, "function_executor_get_info_rpc", signal, () => client.info(signal));
  options.onVersion(info.sdkVersion ?? "");
  await initialize(options, zip);
  return info;
}

async function connect({ client, clock, times, signal }: StartOptions): Promise<void> {
  const beganAtMs = clock.nowMs();
  for (;;) {
    try {
      await client.connect(signal);
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (clock.nowMs() - beganAtMs > times.readyMs) throw error;
    }
    await pause(clock, CONNECT_PAUSE_MS, signal);
  }
}

async function initialize(options: StartOptions, zip: Uint8Array): Promise<void> {
  const { order, client, signal } = options;
  const { namespace, application, name, version } = order.function;
  const { encoding, encodingVersion, contentType } = order.code.payload;
  const request = {
    function: {
      namespace,
      applicationName: application,
      functionName: name,
      ...(version === undefined ? {} : { applicationVersion: version }),
    },
    applicationCode: {
      manifest: {
        encoding: workerEncoding(encoding) ?? SerializedObjectEncoding.BINARY_ZIP,
        encodingVersion: encodingVersion ?? 0n,
        size: BigInt(zip.length),
        metadataSize: order.code.payload.metadataSize ?? 0n,
        sha256Hash: order.code.sha256,
        contentType: contentType ?? "application/zip",
      },
      data: zip,
    },
  };
  const deadlineMs = order.initializeTimeoutMs === 0 ? undefined : order.initializeTimeoutMs;
  let answer: Awaited<ReturnType<WorkerClient["initialize"]>>;
  try {
    answer = await timed(options, "function_executor_initialize_rpc", signal, () =>
      client.initialize(request, deadlineMs, signal),
    );
  } catch (error) {
    if (!isRpcError(error, RPC_CODES.deadlineExceeded)) throw error;
    throw new InitializationFailed(ContainerTerminationReason.STARTUP_FAILED_FUNCTION_TIMEOUT);
  }
  if (answer.outcomeCode === InitializationOutcomeCode.SUCCESS) return;
  throw new InitializationFailed(
    answer.failureReason === InitializationFailureReason.FUNCTION_ERROR
      ? ContainerTerminationReason.STARTUP_FAILED_FUNCTION_ERROR
      : ContainerTerminationReason.STARTUP_FAILED_INTERNAL_ERROR,
  );
}

const BAD_IMAGE = new Set(["IMAGE_NOT_FOUND", "IMAGE_NAME_INVALID", "IMAGE_FORBIDDEN", "IMAGE_UNUSABLE"]);

/** What the server is told of a start that failed (`contracts/indexify.md` 4.3). */
export function startFailure(error: unknown): ContainerTerminationReason {
  if (error instanceof InitializationFailed) return error.reason;
  const isBadImage = error instanceof ExecutorError && BAD_IMAGE.has(error.code);
  return isBadImage
    ? ContainerTerminationReason.STARTUP_FAILED_BAD_IMAGE
    : ContainerTerminationReason.STARTUP_FAILED_INTERNAL_ERROR;
}

/** The gRPC status codes that callers of ours branch on (grpc.io, "Status codes and their use in gRPC"). */
export const RPC_CODES = {
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

/** A call that its peer answered with a status other than OK, or that did not reach it. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  /** The gRPC status code. */
  readonly code: number;
  /** The peer's words. */
  readonly details: string;

  constructor(code: number, details: string, options: { readonly cause?: unknown } = {}) {
    super(`the call failed with gRPC status ${code}: ${details}`, options);
    this.code = code;
    this.details = details;
  }
}

/** Whether something thrown is a call's failure with one of these codes. */
export function isRpcError(thrown: unknown, ...codes: readonly number[]): thrown is RpcError {
  return thrown instanceof RpcError && (codes.length === 0 || codes.includes(thrown.code));
}

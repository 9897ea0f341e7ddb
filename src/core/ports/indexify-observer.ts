/**
 * What the Indexify door does, by the names that its metrics have outside (`contracts/indexify.md` 9.2): each takes a time
 * and comes through or fails.
 */
export const INDEXIFY_OPERATIONS = [
  "grpc_server_channel_creation",
  "state_report_rpc",
  "state_reconciliation",
  "blob_store_get",
  "blob_store_get_metadata",
  "blob_store_presign_uri",
  "blob_store_upload",
  "blob_store_create_multipart_upload",
  "blob_store_complete_multipart_upload",
  "blob_store_abort_multipart_upload",
  "function_executor_create",
  "function_executor_destroy",
  "function_executor_create_server",
  "function_executor_destroy_server",
  "function_executor_establish_channel",
  "function_executor_destroy_channel",
  "function_executor_get_info_rpc",
  "function_executor_initialize_rpc",
  "function_executor_create_health_checker",
  "function_executor_destroy_health_checker",
  "function_executor_health_check",
  "application_download",
  "allocation_preparation",
  "schedule_allocation",
  "handle_function_executor_control_loop_event",
  "allocation_run",
  "call_function_rpc",
  "allocation_finalization",
] as const;
export type IndexifyOperation = (typeof INDEXIFY_OPERATIONS)[number];

/** What only happens, by the same names. */
export const INDEXIFY_EVENTS = [
  "grpc_server_channel_creation_retries",
  "state_report_messages_over_size_limit",
  "state_report_message_fragmentations",
  "desired_state_streams",
  "desired_state_stream_errors",
  "function_executor_failed_health_checks",
  "application_downloads_from_cache",
] as const;
export type IndexifyEvent = (typeof INDEXIFY_EVENTS)[number];

/** How allocations end, for who counts them. A function that took too long is a `function_error`. */
export const ALLOCATION_ENDS = [
  "success",
  "unknown",
  "function_error",
  "internal_error",
  "alloc_cancelled",
  "function_executor_terminated",
] as const;
export type AllocationEnd = (typeof ALLOCATION_ENDS)[number];

/** What a worker says of itself. */
export interface WorkerVersions {
  readonly version: string;
  readonly sdkVersion: string;
  readonly sdkLanguage: string;
  readonly sdkLanguageVersion: string;
}

/**
 * Hears what the Indexify door does. As with `Observer`, all is told synchronously: a method must be quick and must not throw.
 * What can be read at any time, such as how many workers there are, is not told.
 */
export interface IndexifyObserver {
  /** @param hasFailed never for what was given up because nobody wants it any more. */
  done(operation: IndexifyOperation, tookMs: number, hasFailed: boolean): void;
  happened(event: IndexifyEvent): void;
  /** A message of this size went to the server. */
  sent(what: "function_call" | "state_report", bytes: number): void;
  workerAnswered(versions: WorkerVersions): void;
  /** The server wants an allocation of this function that was not known before. */
  allocationFetched(functionName: string): void;
  /** Its outcome is known, and its blobs are whole or gone. @param tookMs since it was fetched. */
  allocationCompleted(end: AllocationEnd, tookMs: number): void;
}

/** Hears nothing. */
export const NO_INDEXIFY_OBSERVER: IndexifyObserver = {
  done: () => undefined,
  happened: () => undefined,
  sent: () => undefined,
  workerAnswered: () => undefined,
  allocationFetched: () => undefined,
  allocationCompleted: () => undefined,
};

export type { ExecutionRequest } from "./execution-request.ts";
export { ExecutionRequestReader } from "./execution-request-reader.ts";
export { LARGE_REQUEST_BYTES, readLargeRequest } from "./large-request.ts";
export {
  encodeLegacyAnswer,
  legacyAnswerPieces,
  plainLegacyAnswer,
  SMALL_ANSWER_BYTES,
} from "./legacy-answer.ts";

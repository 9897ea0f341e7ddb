export { BAD_REQUEST_TEXT, type ExecutionRequest, parseExecutionRequest } from "./execution-request.ts";
export { ExecutionRequestReader } from "./execution-request-reader.ts";
export {
  encodeLegacyAnswer,
  legacyAnswerPieces,
  plainLegacyAnswer,
  SMALL_ANSWER_BYTES,
} from "./legacy-answer.ts";

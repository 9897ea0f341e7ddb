import { NDJSON_TYPE } from "../../../contract/v1/route.ts";
import { asId, ExecutorError } from "../../../core/index.ts";
import { sendJson } from "../answer/send-json.ts";
import type { Handler } from "./handler.ts";

export const getReceipt: Handler<"getReceipt"> = async ({ book, options }, { response }, { params }) => {
  const { runId } = params;
  // Says of a run that nobody knows that there is none, and waits for one that has ended just now.
  await book.get(asId<"run">(runId));
  const receipt = await options.receipts.receipt(runId);
  if (receipt === undefined) throw new ExecutorError("RECEIPT_NOT_FOUND", { runId });
  sendJson(response, 200, receipt);
};

export const getReceiptKey: Handler<"getReceiptKey"> = async ({ options }, { response }) => {
  sendJson(response, 200, await options.receipts.key());
};

/** As the store has it, line by line: what is signed must not be written anew. */
export const exportReceipts: Handler<"exportReceipts"> = async ({ streams, options }, context, { query }) => {
  await options.receipts.flush();
  const format = { contentType: NDJSON_TYPE, print: (lines: string) => lines };
  await streams.send(context, format, () => options.receipts.lines(query));
};

import { sendText } from "../answer/send-json.ts";
import type { Handler } from "./handler.ts";

let written: { readonly version: string; readonly text: string } | undefined;

/** `GET /openapi.json`: made at the first request, since most daemons are never asked. */
export const openapi: Handler<"openapi"> = async ({ options }, { response }) => {
  if (written?.version !== options.version) {
    const { describeApi } = await import("../../../contract/v1/openapi.ts");
    written = {
      version: options.version,
      text: `${JSON.stringify(describeApi(options.version), undefined, 2)}\n`,
    };
  }
  sendText(response, 200, written.text, { "content-type": "application/json; charset=utf-8" });
};

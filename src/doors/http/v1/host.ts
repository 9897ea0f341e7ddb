import { sendJson } from "../answer/send-json.ts";
import { toStats } from "../stats.ts";
import type { Handler } from "./handler.ts";
import { showHost } from "./show-host.ts";

export const getHost: Handler<"getHost"> = (parts, { response }) => {
  sendJson(response, 200, showHost(parts));
};

export const getStats: Handler<"getStats"> = ({ executor }, { response }) => {
  sendJson(response, 200, toStats(executor.view()));
};

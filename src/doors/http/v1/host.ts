import type { Host } from "../../../contract/v1/host.ts";
import { sendJson } from "../answer/send-json.ts";
import { toStats } from "../stats.ts";
import type { Handler } from "./handler.ts";

export const getHost: Handler<"getHost"> = ({ executor, options }, { response }) => {
  const view = executor.view();
  const { capabilities, host, usage } = view;
  const body: Host = {
    version: options.version,
    state: view.state,
    driver: view.driver,
    isolation: [...capabilities.isolation],
    canFreeze: capabilities.canFreeze,
    canAdopt: capabilities.canAdopt,
    cpuMillis: host.cpuMillis,
    memoryBytes: host.memoryBytes,
    cpuPercent: usage.cpuPercent,
    memoryPercent: usage.memoryPercent,
    memoryAvailableBytes: usage.memoryAvailableBytes,
    capacity: view.capacity,
    reserved: view.reserved,
    gpuModel: view.gpuModel,
    running: view.running,
    waiting: view.waiting,
    sandboxes: view.sandboxes,
  };
  sendJson(response, 200, body);
};

export const getStats: Handler<"getStats"> = ({ executor }, { response }) => {
  sendJson(response, 200, toStats(executor.view()));
};

import { once } from "node:events";
import { connect } from "node:net";
import type { Log, NetworkSettings } from "../../../core/index.ts";
import { ExecutorError, policyRanges } from "../../../core/index.ts";
import { findTool } from "../tools.ts";
import { tryOut } from "../try-out.ts";
import { BLOCK_BITS, NetworkBlocks } from "./blocks.ts";
import { ProcessRules } from "./process-rules.ts";
import { TaskNetworks } from "./task-networks.ts";

/** Where every task listens that has a network to itself, as in a container. */
export const TASK_PORT = 8080;

export interface OpenedNetworks {
  readonly networks: TaskNetworks | undefined;
  /** Why there are none, in plain words. */
  readonly remark: string | undefined;
}

/**
 * Finds out whether sandboxes can have networks of their own here, by making one and sending something into it.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID when the range is none; the signal's reason.
 */
export async function openNetworks(
  { owner, range, settings, stateDirectory, log, enter }: OpenNetworksOptions,
  signal: AbortSignal,
): Promise<OpenedNetworks> {
  const ip = findTool("ip");
  const without = (remark: string): OpenedNetworks => ({ networks: undefined, remark });
  if (process.getuid?.() !== 0) return without("networks for tasks need root");
  if (ip === undefined) return without("networks for tasks need ip (iproute2)");
  const blocks = cutBlocks(range, owner);
  const { whole } = blocks;
  const ranges = policyRanges(whole, BLOCK_BITS, settings.default);
  const rules = await ProcessRules.open({ owner, whole, ranges, settings, stateDirectory, log });
  const networks = new TaskNetworks({ owner, blocks, rules, ip });
  try {
    await sendInto(networks, settings, enter, signal);
    await networks.open();
    return { networks, remark: undefined };
  } catch (error) {
    await rules[Symbol.asyncDispose]();
    signal.throwIfAborted();
    const { reason = "they cannot be made" } = ExecutorError.from(error).facts as { reason?: string };
    return without(`networks for tasks do not work here: ${reason}`);
  }
}

export interface OpenNetworksOptions {
  readonly owner: string;
  /** The range that the networks are cut from, such as `10.212.0.0/16`. */
  readonly range: string;
  readonly settings: NetworkSettings;
  readonly stateDirectory: string;
  readonly log: Log | undefined;
  /** Runs a program that does nothing in a network. */
  readonly enter: (path: string, signal: AbortSignal) => Promise<void>;
}

function cutBlocks(range: string, owner: string): NetworkBlocks {
  try {
    return new NetworkBlocks(range, owner);
  } catch (cause) {
    const reason = `"${range}" is no range of IPv4 addresses between /8 and /30`;
    throw new ExecutorError("CONFIG_INVALID", { field: "process.network_range", reason }, { cause });
  }
}

async function sendInto(
  networks: TaskNetworks,
  settings: NetworkSettings,
  enter: OpenNetworksOptions["enter"],
  signal: AbortSignal,
): Promise<void> {
  const network = await networks.make(settings.default);
  try {
    await tryOut("nothing comes through", signal, async (within) => {
      await enter(network.path, within);
      await untilRefused(network.address, within);
    });
  } finally {
    await network.remove();
  }
}

/** Nobody listens in there: the refusal is the proof that packets go in and come back. */
async function untilRefused(host: string, signal: AbortSignal): Promise<void> {
  const socket = connect({ host, port: TASK_PORT, signal });
  try {
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    if (error.code !== "ECONNREFUSED")
      throw new ExecutorError("ENGINE_FAILED", { reason: `they cannot be reached (${error.code})` });
  } finally {
    socket.destroy();
  }
}

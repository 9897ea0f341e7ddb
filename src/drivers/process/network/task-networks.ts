import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { NetworkPolicy } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { Block, NetworkBlocks } from "./blocks.ts";
import { parseRoutes } from "./blocks.ts";
import type { Fence } from "./fence.ts";
import { lowerFence, raiseFence } from "./fence.ts";
import { NetworkNames, namespacePath } from "./names.ts";
import type { ProcessRules } from "./process-rules.ts";
import { runIp } from "./run-ip.ts";
import { removeNetworks } from "./sweep-networks.ts";

/** Somebody may take the same block at the same moment, or have left half a network under its name. */
const TRIES = 3;

/** A network of one sandbox: it and the host, and nobody else. */
export interface TaskNetwork {
  /** Where the task is reached. */
  readonly address: string;
  readonly policy: NetworkPolicy;
  /** The file by which the network is entered. */
  readonly path: string;
  /** Takes it apart. @throws {@link ExecutorError} ENGINE_FAILED; may be called again then. */
  remove(): Promise<void>;
}

export interface TaskNetworksOptions {
  readonly owner: string;
  readonly blocks: NetworkBlocks;
  readonly rules: ProcessRules;
  readonly ip: string;
}

/** Makes networks for sandboxes: a network name space, and a cable from it to the host. Beyond that there is a route only where the policy has a way out. */
export class TaskNetworks {
  readonly #names: NetworkNames;
  readonly #blocks: NetworkBlocks;
  readonly #ip: string;
  readonly #fence: Fence;
  readonly rules: ProcessRules;

  constructor({ owner, blocks, rules, ip }: TaskNetworksOptions) {
    this.#names = new NetworkNames(owner);
    this.#blocks = blocks;
    this.rules = rules;
    this.#ip = ip;
    this.#fence = { owner, range: this.#blocks.range };
  }

  /** Keeps calls to sandboxes that are gone on this host. @throws Error when that cannot be done. */
  async open(): Promise<void> {
    await raiseFence(this.#ip, this.#fence);
  }

  /** Sandboxes that still run keep their networks. Never rejects. */
  async close(): Promise<void> {
    await this.rules[Symbol.asyncDispose]();
    try {
      await lowerFence(this.#ip, this.#fence);
    } catch {
      // An operator may have removed it; one that stays is taken over by the next life.
    }
  }

  /** After a rejection nothing is left. @throws {@link ExecutorError} ENGINE_FAILED. */
  async make(policy: NetworkPolicy): Promise<TaskNetwork> {
    for (let attempt = 1; ; attempt += 1) {
      const block = this.#blocks.take(
        parseRoutes(readFileSync("/proc/net/route", "latin1")),
        this.rules.ranges[policy],
      );
      if (block === undefined)
        throw new ExecutorError("ENGINE_FAILED", {
          reason: "all addresses for networks of tasks are in use",
        });
      try {
        await this.#makeAt(block, this.rules.hasWayOut(policy));
        return this.#network(block, policy);
      } catch (error) {
        await this.#remove(block.index);
        if (attempt < TRIES) continue;
        const reason = `its network could not be made: ${error instanceof Error ? error.message : "unknown"}`;
        throw new ExecutorError("ENGINE_FAILED", { reason }, { cause: error });
      }
    }
  }

  /** Whether a number is that of a network of this life. */
  isLive(index: number): boolean {
    return this.#blocks.isTaken(index);
  }

  /** Whether a caller with this address is a task. */
  isTask(address: string): boolean {
    return this.#blocks.isTask(address);
  }

  async #makeAt({ index, hostAddress, taskAddress }: Block, hasWayOut: boolean): Promise<void> {
    const [namespace, link] = [this.#names.namespace(index), this.#names.link(index)];
    await runIp(
      this.#ip,
      [],
      [
        `netns add ${namespace}`,
        `link add ${link} type veth peer name eth0 netns ${namespace}`,
        ...withoutIpv6(link),
        `address add ${hostAddress}/30 dev ${link}`,
        `link set ${link} up`,
      ],
    );
    // What comes from the task is passed on or not by this alone, where there should be no rules. At most what the host's own
    // setting is, which the cable has from the start.
    if (!hasWayOut) writeFileSync(`/proc/sys/net/ipv4/conf/${link}/forwarding`, "0");
    await runIp(
      this.#ip,
      ["-n", namespace],
      [
        "link set lo up",
        ...withoutIpv6("eth0"),
        `address add ${taskAddress}/30 dev eth0`,
        "link set eth0 up",
        ...(hasWayOut ? [`route add default via ${hostAddress}`] : []),
      ],
    );
  }

  #network({ index, taskAddress }: Block, policy: NetworkPolicy): TaskNetwork {
    return {
      address: taskAddress,
      policy,
      path: namespacePath(this.#names.namespace(index)),
      remove: () => this.#remove(index),
    };
  }

  async #remove(index: number): Promise<void> {
    try {
      await removeNetworks(this.#ip, this.#names, [index]);
    } catch (error) {
      throw new ExecutorError(
        "ENGINE_FAILED",
        { reason: "a network could not be removed" },
        { cause: error },
      );
    }
    this.#blocks.giveBack(index);
  }
}

/** The addresses that IPv6 makes up by itself would lead round the range by which the API knows tasks. */
function withoutIpv6(link: string): readonly string[] {
  return existsSync("/proc/sys/net/ipv6") ? [`link set ${link} addrgenmode none`] : [];
}

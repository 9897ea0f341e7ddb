import type { Endpoint, NetworkPolicy, Range } from "../../../core/index.ts";
import { ExecutorError, overlap, parseRange } from "../../../core/index.ts";
import { retry, systemClock } from "../../../std/index.ts";
import type { NetworkPlace } from "../container/container-body.ts";
import type { Labels, Owner } from "../container/labels.ts";
import { baseLabels, LABEL } from "../container/labels.ts";
import { Making } from "../container/making.ts";
import { pauseBody } from "../container/own-body.ts";
import { removeContainer } from "../container/remove.ts";
import type { Engine } from "../engine/engine.ts";
import { EngineError, isBusy, isMissing, mayStillCome } from "../engine/engine-error.ts";
import { PUBLISHED_HOST, TASK_PORT } from "../options.ts";
import { removeLate, untilAnswered } from "../remove-late.ts";
import type { HostRoute } from "./host-routes.ts";
import { readHostRoutes } from "./host-routes.ts";
import { faceName, networkName } from "./network-name.ts";
import type { NetworkRules } from "./network-rules.ts";
import type { NetworkSandbox, TaskNetwork } from "./network-sandbox.ts";
import { ensurePauseImage } from "./pause-image.ts";
import type { ReachPlan } from "./reach.ts";
import type { Subnet, Subnets } from "./subnets.ts";

/** A range that others cut from at the same time; more collisions in a row than this mean something else. */
const MAX_COLLISIONS = 16;

export interface MakerOptions {
  readonly owner: Owner;
  readonly rules: NetworkRules;
  readonly reach: ReachPlan;
  /** Cut from each policy's own part of the range; a policy without one is not on offer. */
  readonly subnets: ReadonlyMap<NetworkPolicy, Subnets>;
  readonly seccomp: string | undefined;
  readonly pauseImage: string;
  /** Aborts when the driver lets go. */
  readonly closing: AbortSignal;
  /** See `World.inBackground`. */
  inBackground(work: () => Promise<void>): void;
}

/** Makes and removes task networks and network sandboxes. What it made halfway when it failed, it removes again behind the caller's back. */
export class NetworkMaker {
  readonly #engine: Engine;
  readonly #options: MakerOptions;

  constructor(engine: Engine, options: MakerOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  /** Of the networks that are made ahead. */
  get defaultPolicy(): NetworkPolicy {
    return this.#options.rules.settings.default;
  }

  /**
   * @throws EngineError; {@link ExecutorError} ENGINE_FAILED when the range is used up, ENGINE_UNAVAILABLE; NETWORK_UNAVAILABLE when
   * it turns out not to be behind the rules.
   */
  async makeNetwork(policy: NetworkPolicy): Promise<TaskNetwork> {
    const subnets = this.#subnetsOf(policy);
    for (let collisions = 0; ; collisions += 1) {
      // Another engine on this host may cut from the same range: only the host's routes tell.
      const subnet = subnets.take((await this.#hostRoutes(subnets.whole)).map(({ range }) => range));
      try {
        return await this.#make(subnet, policy);
      } catch (thrown) {
        if (!(thrown instanceof SubnetTaken)) throw thrown;
        if (collisions >= MAX_COLLISIONS) throw collided(thrown);
      }
    }
  }

  /** A network of the default policy with its sleeping container. */
  async makeSandbox(bare?: TaskNetwork): Promise<NetworkSandbox> {
    return await this.#fill(bare ?? (await this.makeNetwork(this.defaultPolicy)));
  }

  /** Where a task that needs no sleeping container goes. */
  place(network: TaskNetwork): NetworkPlace & { readonly type: "own" } {
    const { reach, rules } = this.#options;
    const isPublished = reach.type === "published";
    const dns = rules.dns(network.policy);
    return { type: "own", networkName: network.name, address: network.subnet.taskAddress, isPublished, dns };
  }

  /** Where the server inside a running container of ours answers. */
  async endpointOf(containerId: string, network: TaskNetwork): Promise<Endpoint> {
    if (this.#options.reach.type !== "published")
      return { host: network.subnet.taskAddress, port: TASK_PORT };
    const { publishedPort } = await this.#engine.containers.inspect(containerId);
    return { host: PUBLISHED_HOST, port: publishedPort ?? 0 };
  }

  async removeSandbox(sandbox: Pick<NetworkSandbox, "containerId" | "network">): Promise<void> {
    await removeContainer(this.#engine, sandbox.containerId);
    await this.removeNetwork(sandbox.network);
  }

  async removeNetwork(network: TaskNetwork): Promise<void> {
    // The last container's end is told before its place in the network is given up.
    await retry(
      {
        tries: 8,
        firstMs: 25,
        maxMs: 1000,
        signal: new AbortController().signal,
        isWorthRetrying: isStillUsed,
      },
      async () => {
        await this.#leave(network);
        await ignoreMissing(this.#engine.networks.remove(network.id));
      },
    );
    this.#options.subnets.get(network.policy)?.release(network.subnet.range);
  }

  /** Engines have many words for "not a member": one that still is keeps the network from being removed. */
  async #leave({ id }: TaskNetwork): Promise<void> {
    const { reach } = this.#options;
    if (reach.type !== "member") return;
    try {
      await this.#engine.networks.disconnect(id, reach.containerId);
    } catch (thrown) {
      if (!(thrown instanceof EngineError)) throw thrown;
    }
  }

  /** Looks at what others use of the host's addresses. */
  async refreshForeign(): Promise<void> {
    const { owner, subnets } = this.#options;
    const ranges: Range[] = [];
    for (const row of await this.#engine.networks.list()) {
      if (row.labels[LABEL.OWNER] === owner.ownerId && row.labels[LABEL.INSTANCE] === owner.instanceId)
        continue;
      for (const text of row.subnets) {
        const range = parseRange(text);
        if (range !== undefined) ranges.push(range);
      }
    }
    for (const part of subnets.values()) part.setForeign(ranges);
  }

  /** What the host reaches inside our range. A wider route is no hindrance: to our networks there is a closer one. */
  async #hostRoutes(whole: Range): Promise<readonly HostRoute[]> {
    if (!this.#engine.isLocal) return [];
    return (await readHostRoutes()).filter(({ range }) => range.bits >= whole.bits && overlap(range, whole));
  }

  /** @throws {@link SubnetTaken} when somebody else has it, who is in the list of what others use after this. */
  async #make(subnet: Subnet, policy: NetworkPolicy): Promise<TaskNetwork> {
    const face = faceName(this.#options.owner.ownerId);
    let network: TaskNetwork;
    try {
      network = await this.#create(subnet, policy, face);
    } catch (thrown) {
      if (!isCollision(thrown)) {
        this.#subnetsOf(policy).release(subnet.range);
        throw thrown;
      }
      // Released after that, so that it is not the next one to be taken.
      await this.refreshForeign().finally(() => this.#subnetsOf(policy).release(subnet.range));
      throw new SubnetTaken(`${subnet.cidr} is in use`, { cause: thrown });
    }
    try {
      await this.#furnish(network, face);
      return network;
    } catch (thrown) {
      this.#dropLater(network);
      if (thrown instanceof SubnetTaken) await this.refreshForeign();
      throw thrown;
    }
  }

  /** What is needed of a network before anybody uses it. */
  async #furnish({ id, subnet, policy }: TaskNetwork, face: string): Promise<void> {
    const { reach, rules } = this.#options;
    // One that the engine leaves open must be behind our rules.
    if (!rules.isInternal(policy)) rules.confirm(face, policy);
    // Two engines that look at the same moment both find it free: whoever then sees two routes to it gives way.
    const routes = (await this.#hostRoutes(subnet.range)).filter(({ range }) => overlap(range, subnet.range));
    if (routes.length > 1)
      throw new SubnetTaken(
        `${subnet.cidr} has routes through ${routes.map((one) => one.face).join(" and ")}`,
      );
    if (reach.type === "member")
      await this.#engine.networks.connect(id, reach.containerId, subnet.daemonAddress);
  }

  async #create(subnet: Subnet, policy: NetworkPolicy, face: string): Promise<TaskNetwork> {
    const { reach, rules } = this.#options;
    const isInternal = rules.isInternal(policy);
    const name = networkName(!isInternal && reach.type === "member");
    try {
      const id = await this.#engine.networks.create({
        name,
        subnet: subnet.cidr,
        gateway: subnet.gateway,
        isInternal,
        bridge: { ...bridgeOptions(policy, isInternal, reach), "com.docker.network.bridge.name": face },
        labels: this.#labels(subnet, policy),
      });
      return { id, name, subnet, policy };
    } catch (thrown) {
      // Nobody would know of it.
      if (mayStillCome(thrown)) this.#removeLate(name);
      throw thrown;
    }
  }

  #removeLate(name: string): void {
    const { closing, inBackground } = this.#options;
    const { networks } = this.#engine;
    const remove = async (): Promise<boolean> => {
      const made = (await networks.list()).find((row) => row.name === name);
      if (made !== undefined) await ignoreMissing(networks.remove(made.id));
      return made !== undefined;
    };
    inBackground(() => removeLate(remove, closing));
  }

  /** Removes one that nobody gets, behind the caller's back, once what was made in it is gone. */
  #dropLater(network: TaskNetwork, inside?: Making): void {
    const { closing, inBackground } = this.#options;
    inBackground(async () => {
      await inside?.remove();
      await untilAnswered(() => this.removeNetwork(network), closing);
    });
  }

  #subnetsOf(policy: NetworkPolicy): Subnets {
    const subnets = this.#options.subnets.get(policy);
    if (subnets === undefined)
      throw new ExecutorError("NETWORK_UNAVAILABLE", { network: policy, reason: "its range is too small" });
    return subnets;
  }

  async #fill(network: TaskNetwork): Promise<NetworkSandbox> {
    const { pauseImage, seccomp, closing } = this.#options;
    const body = pauseBody(
      pauseImage,
      this.#labels(network.subnet, network.policy),
      this.place(network),
      seccomp,
    );
    const making = new Making(this.#engine, network.name, closing);
    try {
      const containerId = await this.#createPause(making, body);
      await making.start(containerId);
      const endpoint = await this.endpointOf(containerId, network);
      return { containerId, name: network.name, network, endpoint, usedBy: undefined };
    } catch (thrown) {
      this.#dropLater(network, making);
      throw thrown;
    }
  }

  async #createPause(making: Making, body: ReturnType<typeof pauseBody>): Promise<string> {
    try {
      return await making.create(body);
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown;
      // Somebody has tidied our image away.
      await ensurePauseImage(this.#engine, new AbortController().signal);
      return await making.create(body);
    }
  }

  #labels(subnet: Subnet, policy: NetworkPolicy): Labels {
    return {
      ...baseLabels(this.#options.owner, "network", systemClock.wallMs()),
      [LABEL.SUBNET]: subnet.cidr,
      [LABEL.POLICY]: policy,
    };
  }
}

/** A subnet that is somebody else's, known or just found out. */
class SubnetTaken extends Error {
  override readonly name = "SubnetTaken";
}

function collided(thrown: unknown): Error {
  const reason = "others on this host keep taking the subnets of the task network range";
  return new ExecutorError("ENGINE_FAILED", { reason }, { cause: thrown });
}

/** What a bridge is told beside its addresses. */
function bridgeOptions(
  policy: NetworkPolicy,
  isInternal: boolean,
  reach: ReachPlan,
): Readonly<Record<string, string>> {
  // A daemon that is a member needs no way through the host: then the host keeps no address that a task could reach.
  if (isInternal && reach.type === "member") return { "com.docker.network.bridge.inhibit_ipv4": "true" };
  // Nothing can be published on an internal network; without translation no answer finds its way back from outside.
  if (policy !== "egress" && reach.type === "published") {
    return { "com.docker.network.bridge.enable_ip_masquerade": "false" };
  }
  return {};
}

function isCollision(thrown: unknown): boolean {
  return thrown instanceof EngineError && /overlap|conflicts with network/i.test(thrown.reason);
}

function isStillUsed(thrown: unknown): boolean {
  return isBusy(thrown) || (thrown instanceof EngineError && /active endpoints/.test(thrown.reason));
}

async function ignoreMissing(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown;
  }
}

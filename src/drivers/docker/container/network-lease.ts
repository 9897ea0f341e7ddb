import type { NetworkPolicy } from "../../../core/index.ts";
import { orAbort } from "../../../std/index.ts";
import type { Taken } from "../network/network-pool.ts";
import type { NetworkSandbox, TaskNetwork } from "../network/network-sandbox.ts";
import type { World } from "../world.ts";
import type { NetworkPlace } from "./container-body.ts";
import type { IsolationPlan } from "./plan-isolation.ts";

/** What a container's network is chosen by. */
export interface NetworkWish {
  readonly imageDigest: string;
  readonly policy: NetworkPolicy;
  readonly plan: IsolationPlan;
}

/** The network of one container, from its taking to its giving back. */
export class NetworkLease {
  readonly #world: Pick<World, "pool" | "maker">;
  readonly #wish: NetworkWish;
  #taken: Taken | undefined;

  /** @param taken what the pool had ready; `undefined` has one made. */
  constructor(world: Pick<World, "pool" | "maker">, wish: NetworkWish, taken: Taken | undefined) {
    this.#world = world;
    this.#wish = wish;
    this.#taken = taken;
  }

  /** The network sandbox whose network is joined, if it is joined. */
  get sandbox(): NetworkSandbox | undefined {
    return this.#taken?.type === "sandbox" ? this.#taken.sandbox : undefined;
  }

  /** The network that the container is in by itself, if it is. */
  get network(): TaskNetwork | undefined {
    return this.#taken?.type === "network" ? this.#taken.network : undefined;
  }

  /** A sandbox made ahead, a bare network made ahead, or a network made now. */
  async place(signal: AbortSignal): Promise<NetworkPlace> {
    if (this.#taken === undefined) {
      const made = this.#world.pool.make(this.#wish.policy);
      const network = await orAbort(made, signal, (late) =>
        this.#world.pool.discard({ type: "network", network: late }),
      );
      this.#taken = { type: "network", network };
    }
    if (this.#taken.type === "network") {
      const { network } = this.#taken;
      if (this.#wish.plan.runtime === undefined) return this.#world.maker.place(network);
      return { type: "join", containerId: await this.#settleIn(network, signal) };
    }
    return { type: "join", containerId: this.#taken.sandbox.containerId };
  }

  /** Gives the network back, once. */
  letGo(isReusable: boolean): void {
    const taken = this.#taken;
    this.#taken = undefined;
    if (taken === undefined) return;
    // A runtime with a network stack of its own may have taken the addresses out of it.
    if (isReusable && this.#wish.plan.runtime === undefined)
      this.#world.pool.giveBack(taken, this.#wish.imageDigest);
    else this.#world.pool.discard(taken);
  }

  /**
   * A runtime with a network stack of its own reads its network when it starts, and engines since 26.0 set it up only after that.
   * The network of a container that runs already is whole.
   *
   * @returns the id of that container.
   * @see https://github.com/kata-containers/kata-containers/issues/9340
   */
  async #settleIn(network: TaskNetwork, signal: AbortSignal): Promise<string> {
    // From here on it is the maker's, who removes it when that fails.
    this.#taken = undefined;
    const sandbox = await orAbort(this.#world.maker.makeSandbox(network), signal, (late) =>
      this.#world.pool.discard({ type: "sandbox", sandbox: late }),
    );
    this.#taken = { type: "sandbox", sandbox };
    return sandbox.containerId;
  }
}

/** What engines say when it is the network that a container could not be put into. */
export function blamesNetwork(failure: Error): boolean {
  return /cannot join network|network of a non running container|No such container/i.test(failure.message);
}

import type Docker from "dockerode";
import type { CallOptions, EngineCaller } from "./caller.ts";
import { isLostReply } from "./engine-error.ts";

/** A bridge network of ours to be made. */
export interface NewNetwork {
  readonly name: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly isInternal: boolean;
  /** Options of the bridge driver. */
  readonly bridge: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

export interface NetworkRow {
  readonly id: string;
  readonly name: string;
  readonly subnets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Whether the engine cuts it off from all else. */
  readonly isInternal: boolean;
}

/** Networks, in our words. */
export class NetworkClient {
  readonly #docker: Docker;
  readonly #caller: EngineCaller;

  constructor(docker: Docker, caller: EngineCaller) {
    this.#docker = docker;
    this.#caller = caller;
  }

  /** @returns the new network's id. The name must be one that nothing else ever gets. */
  async create(network: NewNetwork, options: CallOptions = {}): Promise<string> {
    try {
      return await this.#create(network, options);
    } catch (thrown) {
      if (!isLostReply(thrown)) throw thrown;
      const made = await this.#find(network.name);
      if (made === undefined) throw thrown;
      return made.id;
    }
  }

  /** `undefined` also where the engine does not tell: then it is not known whether it is there. */
  async #find(wanted: string): Promise<NetworkRow | undefined> {
    try {
      return (await this.list()).find(({ name }) => name === wanted);
    } catch {
      return undefined;
    }
  }

  async #create(network: NewNetwork, options: CallOptions): Promise<string> {
    const body: Docker.NetworkCreateOptions = {
      Name: network.name,
      CheckDuplicate: true,
      Driver: "bridge",
      Internal: network.isInternal,
      EnableIPv6: false,
      IPAM: { Driver: "default", Config: [{ Subnet: network.subnet, Gateway: network.gateway }] },
      Options: { ...network.bridge },
      Labels: { ...network.labels },
    };
    return await this.#caller.call(
      "network create",
      async (abortSignal) => {
        // See `ContainerClient.create` for the two keys that the library's types do not know.
        const request = { _query: {}, _body: body, abortSignal } as unknown as Docker.NetworkCreateOptions;
        return (await this.#docker.createNetwork(request)).id;
      },
      options,
    );
  }

  /** Every network of the engine, whoever made it. */
  async list(options: CallOptions = {}): Promise<readonly NetworkRow[]> {
    const rows = await this.#caller.read(
      "network list",
      (abortSignal) => this.#docker.listNetworks({ abortSignal }),
      options,
    );
    return rows.map((row) => ({
      id: row.Id,
      name: row.Name,
      subnets: (row.IPAM?.Config ?? []).flatMap(({ Subnet }) => (Subnet === undefined ? [] : [Subnet])),
      labels: row.Labels ?? {},
      isInternal: row.Internal,
    }));
  }

  async remove(id: string, options: CallOptions = {}): Promise<void> {
    await this.#caller.call(
      "network remove",
      (abortSignal) => this.#docker.getNetwork(id).remove({ abortSignal }),
      options,
    );
  }

  async connect(id: string, containerId: string, address: string, options: CallOptions = {}): Promise<void> {
    const endpoint = { IPAMConfig: { IPv4Address: address } };
    // The library's types want every field of an endpoint that exists; the engine wants the ones that are meant.
    const body = { Container: containerId, EndpointConfig: endpoint } as Docker.NetworkConnectOptions;
    await this.#caller.call("network connect", () => this.#docker.getNetwork(id).connect(body), options);
  }

  async disconnect(id: string, containerId: string, options: CallOptions = {}): Promise<void> {
    await this.#caller.call(
      "network disconnect",
      (abortSignal) =>
        this.#docker.getNetwork(id).disconnect({ Container: containerId, Force: true, ...{ abortSignal } }),
      options,
    );
  }
}

import { networkInterfaces } from "node:os";
import type { PeerAddress } from "../../../core/index.ts";
import type { TaskNetworks } from "../network/index.ts";
import type { TaskUids } from "../walls/task-uids.ts";
import { kernelForms, tcpTableText, uidBetween } from "./socket-table.ts";

/** How long the list of this host's own addresses is taken for true. */
const ADDRESSES_FOR_MS = 10_000;
/** How long one look at the kernel's table serves for the connections that are found in it: many come at once. */
const TABLE_FOR_MS = 20;

/**
 * Tells tasks from other callers. One in a network of its own is known by its address. On the host's network an address says
 * nothing; but the other end of the connection is a socket of this host, and the kernel knows the uid that opened it. One look at its table is a read of
 * `/proc/net/tcp`, so this is for accepted connections, not for each request.
 */
export class TaskPeers {
  readonly #uids: TaskUids | undefined;
  readonly #networks: TaskNetworks | undefined;
  #ownAddresses: ReadonlySet<string> = new Set();
  #ownAddressesUntilMs = 0;
  #table = "";
  #tableUntilMs = 0;

  constructor(uids: TaskUids | undefined, networks: TaskNetworks | undefined) {
    this.#uids = uids;
    this.#networks = networks;
  }

  /** `false` where tasks have neither a network nor a uid of their own: then nothing can be told. */
  isTask({ remoteAddress, remotePort, localAddress, localPort }: PeerAddress): boolean {
    if (this.#networks?.isTask(remoteAddress) === true) return true;
    const uids = this.#uids;
    if (uids === undefined || !this.#isOwnAddress(remoteAddress)) return false;
    // Seen from the other end, local and remote change places.
    const theirs = kernelForms(remoteAddress, remotePort);
    const ours = kernelForms(localAddress, localPort);
    const uid = uidBetween(this.#recentTable(), theirs, ours) ?? uidBetween(this.#newTable(), theirs, ours);
    return uid !== undefined && uids.isTask(uid);
  }

  #recentTable(): string {
    return performance.now() < this.#tableUntilMs ? this.#table : "";
  }

  #newTable(): string {
    const beforeMs = performance.now();
    this.#table = tcpTableText();
    const nowMs = performance.now();
    // On a host with thousands of connections a look costs so much that a burst must not pay it again and again.
    this.#tableUntilMs = nowMs + Math.max(TABLE_FOR_MS, 4 * (nowMs - beforeMs));
    return this.#table;
  }

  #isOwnAddress(address: string): boolean {
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
    if (plain.startsWith("127.") || plain === "::1") return true;
    const nowMs = performance.now();
    if (nowMs >= this.#ownAddressesUntilMs) {
      const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
      this.#ownAddresses = new Set(all.map((one) => one.address));
      this.#ownAddressesUntilMs = nowMs + ADDRESSES_FOR_MS;
    }
    return this.#ownAddresses.has(plain);
  }
}

/** How many connections are open, in all and from each peer. */
export class ConnectionCount {
  readonly #peers = new Map<string, number>();
  #open = 0;

  get open(): number {
    return this.#open;
  }

  from(peer: string): number {
    return this.#peers.get(peer) ?? 0;
  }

  add(peer: string): void {
    this.#open += 1;
    this.#peers.set(peer, this.from(peer) + 1);
  }

  remove(peer: string): void {
    this.#open -= 1;
    const left = this.from(peer) - 1;
    if (left > 0) this.#peers.set(peer, left);
    else this.#peers.delete(peer);
  }
}

import type { HostDisk } from "../../src/core/index.ts";

/** A disk of 1000 GB of which jobs may have 900 GB. */
export class FakeDisk implements HostDisk {
  readonly totalBytes = 1000e9;
  readonly capacityBytes = 900e9;
  /** What others than jobs leave. */
  leftBytes = 600e9;
  #reservedBytes = 0;

  availableBytes(): number {
    return this.leftBytes;
  }

  reservedBytes(): number {
    return this.#reservedBytes;
  }

  book(bytes: number): () => void {
    this.#reservedBytes += bytes;
    let isBooked = true;
    return () => {
      if (isBooked) this.#reservedBytes -= bytes;
      isBooked = false;
    };
  }
}

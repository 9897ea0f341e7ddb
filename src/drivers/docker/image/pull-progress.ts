import type { PullProgress } from "../../../core/index.ts";
import { isRecord } from "../engine/json-lines.ts";

interface Layer {
  doneBytes: number;
  totalBytes: number;
}

/** Adds the engine's lines about single layers up to one figure for the image. */
export class PullTally {
  readonly #image: string;
  readonly #layers = new Map<string, Layer>();

  constructor(image: string) {
    this.#image = image;
  }

  /** Takes one line of a pull's progress; lines about anything else change nothing. */
  see(line: Readonly<Record<string, unknown>>): void {
    const { id, status } = line;
    if (typeof id !== "string" || typeof status !== "string") return;
    if (status === "Downloading") {
      const detail = isRecord(line["progressDetail"]) ? line["progressDetail"] : {};
      const layer = this.#layerOf(id);
      layer.doneBytes = bytes(detail["current"]) ?? layer.doneBytes;
      layer.totalBytes = Math.max(bytes(detail["total"]) ?? layer.totalBytes, layer.doneBytes);
    } else if (status === "Download complete" || status === "Pull complete") {
      const layer = this.#layerOf(id);
      layer.doneBytes = layer.totalBytes;
    }
  }

  progress(): PullProgress {
    let doneBytes = 0;
    let totalBytes = 0;
    for (const layer of this.#layers.values()) {
      doneBytes += layer.doneBytes;
      totalBytes += layer.totalBytes;
    }
    return { image: this.#image, doneBytes, totalBytes };
  }

  #layerOf(id: string): Layer {
    const layer = this.#layers.get(id) ?? { doneBytes: 0, totalBytes: 0 };
    this.#layers.set(id, layer);
    return layer;
  }
}

function bytes(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

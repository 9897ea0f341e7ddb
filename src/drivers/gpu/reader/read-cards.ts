import type { Card, CardsReport } from "../report.ts";
import type { Handle } from "./card-figures.ts";
import {
  readCompute,
  readDriverVersion,
  readHandle,
  readMemory,
  readMinor,
  readName,
  readPciBusId,
  readProcesses,
  readUuid,
} from "./card-figures.ts";
import { readFault } from "./card-health.ts";
import { check, NvmlError } from "./nvml-error.ts";
import type { NvmlLibrary } from "./nvml-library.ts";
import type { XidEvents } from "./xid-events.ts";
import { openXidEvents } from "./xid-events.ts";

/** Errors in memory are rare and cost more to ask for than use. */
const HEALTH_EVERY_MS = 5000;

interface Known {
  readonly model: string;
  readonly pciBusId: string;
  readonly minor: number | undefined;
  fault: string | undefined;
  nextHealthAtMs: number;
}

/** Looks at every card, again and again. Blocks for as long as the driver does. */
export class CardsReader {
  readonly #library: NvmlLibrary;
  readonly #events: XidEvents;
  readonly #driver: string;
  readonly #known = new Map<string, Known>();

  /** @throws NvmlError when the library refuses to begin. */
  constructor(library: NvmlLibrary) {
    this.#library = library;
    check(library, "NVML cannot begin", library.init());
    this.#driver = readDriverVersion(library);
    this.#events = openXidEvents(library);
  }

  /** @throws NvmlError when the library itself has become useless; a card's trouble is in the report. */
  read(nowMs: number): CardsReport {
    const count = Buffer.alloc(4);
    check(this.#library, "the cards cannot be counted", this.#library.deviceCount(count));
    const broke = this.#events.take();
    const cards: Card[] = [];
    const unreadable: { index: number; reason: string }[] = [];
    for (let index = 0; index < count.readUInt32LE(0); index += 1) {
      try {
        const handle = readHandle(this.#library, index);
        const id = readUuid(this.#library, handle);
        cards.push({ ...this.#card(id, index, handle, nowMs), ...optional("broke", broke.get(id)) });
      } catch (error) {
        unreadable.push({ index, reason: reasonOf(error) });
      }
    }
    return { driver: this.#driver, cards, unreadable };
  }

  #card(id: string, index: number, handle: Handle, nowMs: number): Card {
    const known = this.#about(id, handle);
    const { model, pciBusId, minor } = known;
    const fixed = { id, index, model, pciBusId, ...optional("minor", minor) };
    try {
      const { totalBytes, usedBytes } = readMemory(this.#library, handle);
      const pids = [...readProcesses(this.#library, handle)];
      // A card that does not tell how busy it is counts as busy while somebody is on it.
      const computePercent = readCompute(this.#library, handle) ?? (pids.length > 0 ? 100 : 0);
      this.#judge(known, handle, nowMs);
      const figures = { memoryBytes: totalBytes, memoryUsedBytes: usedBytes, computePercent, pids };
      return { ...fixed, ...figures, ...optional("fault", known.fault) };
    } catch (error) {
      const fault = reasonOf(error);
      return { ...fixed, memoryBytes: 0, memoryUsedBytes: 0, computePercent: 0, pids: [], fault };
    }
  }

  #about(id: string, handle: Handle): Known {
    let known = this.#known.get(id);
    if (known === undefined) {
      known = {
        model: readName(this.#library, handle),
        pciBusId: readPciBusId(this.#library, handle),
        minor: readMinor(this.#library, handle),
        fault: undefined,
        nextHealthAtMs: 0,
      };
      this.#known.set(id, known);
      this.#events.follow(id, handle);
    }
    return known;
  }

  #judge(known: Known, handle: Handle, nowMs: number): void {
    if (nowMs < known.nextHealthAtMs) return;
    known.nextHealthAtMs = nowMs + HEALTH_EVERY_MS;
    known.fault = readFault(this.#library, handle);
  }
}

/** @throws the error itself when it is not about one card. */
function reasonOf(error: unknown): string {
  if (!(error instanceof NvmlError) || error.isLibraryGone) throw error;
  return error.message;
}

function optional<K extends string, V>(name: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { [key in K]: V });
}

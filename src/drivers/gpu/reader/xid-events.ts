import type { Handle } from "./card-figures.ts";
import { readUuid } from "./card-figures.ts";
import { CODE } from "./nvml-error.ts";
import type { NvmlLibrary } from "./nvml-library.ts";

const XID_CRITICAL_ERROR = 8n;
/** `nvmlEventData_t`: device, type, data, two ids of slices. */
const EVENT_BYTES = 32;
/** Events that one look takes. */
const MOST_EVENTS = 64;

/**
 * Errors that a program on the card causes and that end with it; NVIDIA's own device plugin passes over the same ones:
 * graphics engine exception, page fault, stopped processing, preemptive clean-up, video processor exception, context switch
 * timeout.
 *
 * @see NVIDIA XID Errors, "Common XID Errors".
 */
const CAUSED_BY_PROGRAMS: readonly number[] = [13, 31, 43, 45, 68, 109];

/** A card is only reset while nobody has it open, and the reader has: whoever resets it has to switch cards off anyway. */
const REPAIR = "switch has_gpu off, reset the card, and switch has_gpu on";

/** The driver's error reports (XID), which come as events and are not to be asked for later. */
export interface XidEvents {
  /** Asks for the reports of one card, once. */
  follow(id: string, handle: Handle): void;
  /** What came since the last call and does not pass by itself, by the card's UUID. */
  take(): ReadonlyMap<string, string>;
}

/** @returns a source without events where the driver has none. */
export function openXidEvents(library: NvmlLibrary): XidEvents {
  const { events } = library;
  const out = Buffer.alloc(8);
  if (events === undefined || events.create(out) !== CODE.SUCCESS) {
    return { follow: () => undefined, take: () => new Map() };
  }
  const set = out.readBigUInt64LE(0);
  const followed = new Set<string>();
  return {
    follow(id, handle) {
      if (followed.has(id)) return;
      followed.add(id);
      // Cards without such reports say so, and are judged by all the rest.
      events.register(handle, XID_CRITICAL_ERROR, set);
    },
    take() {
      const found = new Map<string, string>();
      const data = Buffer.alloc(EVENT_BYTES);
      for (let taken = 0; taken < MOST_EVENTS; taken += 1) {
        // Without waiting: no event is a timeout.
        if (events.wait(set, data, 0) !== CODE.SUCCESS) break;
        const xid = Number(data.readBigUInt64LE(16));
        if (data.readBigUInt64LE(8) !== XID_CRITICAL_ERROR || CAUSED_BY_PROGRAMS.includes(xid)) continue;
        found.set(
          readUuid(library, data.readBigUInt64LE(0)),
          `its driver reported error XID ${xid}; ${REPAIR}`,
        );
      }
      return found;
    },
  };
}

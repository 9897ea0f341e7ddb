import type { Handle } from "./card-figures.ts";
import { CODE, isTold } from "./nvml-error.ts";
import type { NvmlLibrary } from "./nvml-library.ts";

const UNCORRECTED = 1;
const SINCE_DRIVER_LOAD = 0;

/**
 * What the card itself says against its use: a sentence, or `undefined`. Wrong memory is judged since the driver was loaded:
 * older errors have been dealt with by the reset that loading it is.
 */
export function readFault(library: NvmlLibrary, handle: Handle): string | undefined {
  return (
    memoryFault(library, handle) ??
    rowFault(library, handle) ??
    pageFault(library, handle) ??
    migFault(library, handle)
  );
}

function memoryFault(library: NvmlLibrary, handle: Handle): string | undefined {
  const count = Buffer.alloc(8);
  const code = library.totalEccErrors?.(handle, UNCORRECTED, SINCE_DRIVER_LOAD, count) ?? CODE.NOT_SUPPORTED;
  if (!isTold(library, "its ECC errors", code)) return undefined;
  const errors = count.readBigUInt64LE(0);
  return errors > 0n
    ? `${errors} uncorrected memory errors (ECC) since its driver was loaded: reset it`
    : undefined;
}

function rowFault(library: NvmlLibrary, handle: Handle): string | undefined {
  const [correctable, uncorrectable, isPending, hasFailed] = [4, 4, 4, 4].map((size) =>
    Buffer.alloc(size),
  ) as [Buffer, Buffer, Buffer, Buffer];
  const code =
    library.remappedRows?.(handle, correctable, uncorrectable, isPending, hasFailed) ?? CODE.NOT_SUPPORTED;
  if (!isTold(library, "its remapped rows", code)) return undefined;
  return hasFailed.readUInt32LE(0) === 0
    ? undefined
    : "bad memory could not be replaced (row remapping failed)";
}

function pageFault(library: NvmlLibrary, handle: Handle): string | undefined {
  const isPending = Buffer.alloc(4);
  const code = library.pagesPending?.(handle, isPending) ?? CODE.NOT_SUPPORTED;
  if (!isTold(library, "its retired pages", code)) return undefined;
  return isPending.readUInt32LE(0) === 0 ? undefined : "bad memory pages wait to be retired: reset it";
}

/** A card that is cut into slices cannot be handed out whole, and slices are not handed out. */
function migFault(library: NvmlLibrary, handle: Handle): string | undefined {
  const [current, pending] = [Buffer.alloc(4), Buffer.alloc(4)];
  const code = library.migMode?.(handle, current, pending) ?? CODE.NOT_SUPPORTED;
  if (!isTold(library, "its MIG mode", code)) return undefined;
  return current.readUInt32LE(0) === 0 ? undefined : "it is cut into MIG slices, which are not handed out";
}

import type { NvmlLibrary } from "./nvml-library.ts";

/** `nvmlReturn_t`, as far as the difference matters here. */
export const CODE = {
  SUCCESS: 0,
  UNINITIALIZED: 1,
  NOT_SUPPORTED: 3,
  NO_PERMISSION: 4,
  NOT_FOUND: 6,
  INSUFFICIENT_SIZE: 7,
  DRIVER_NOT_LOADED: 9,
  FUNCTION_NOT_FOUND: 13,
  GPU_IS_LOST: 15,
  RESET_REQUIRED: 16,
  LIB_RM_VERSION_MISMATCH: 18,
} as const;

/** Not the card's doing: the whole library is of no use any more, and has to be begun anew. */
const LIBRARY_IS_GONE: readonly number[] = [
  CODE.UNINITIALIZED,
  CODE.DRIVER_NOT_LOADED,
  CODE.LIB_RM_VERSION_MISMATCH,
];

/** The card is well; it, its driver or our rights just do not offer this figure. */
const NOT_OFFERED: readonly number[] = [
  CODE.NOT_SUPPORTED,
  CODE.NO_PERMISSION,
  CODE.NOT_FOUND,
  CODE.FUNCTION_NOT_FOUND,
];

/** The card is of no use, whatever was asked. */
const CARD_IS_GONE: readonly number[] = [CODE.GPU_IS_LOST, CODE.RESET_REQUIRED];

/** A call said that something is wrong. */
export class NvmlError extends Error {
  override readonly name = "NvmlError";
  readonly isLibraryGone: boolean;

  constructor(library: NvmlLibrary, what: string, code: number) {
    super(`${what}: ${library.errorString(code)} (NVML ${code})`);
    this.isLibraryGone = LIBRARY_IS_GONE.includes(code);
  }
}

/** @throws {@link NvmlError} for anything but success. */
export function check(library: NvmlLibrary, what: string, code: number): void {
  if (code !== CODE.SUCCESS) throw new NvmlError(library, what, code);
}

/**
 * @returns whether there is a result.
 * @throws {@link NvmlError} for a code that means trouble, and not merely that this card does not tell this.
 */
export function hasResult(library: NvmlLibrary, what: string, code: number): boolean {
  if (code === CODE.SUCCESS) return true;
  if (NOT_OFFERED.includes(code)) return false;
  throw new NvmlError(library, what, code);
}

/**
 * The same for what a card need not tell: under virtual machines and on odd cards these calls fail in many ways, and the card is well.
 *
 * @throws {@link NvmlError} only when the card or the library is gone.
 */
export function isTold(library: NvmlLibrary, what: string, code: number): boolean {
  if (LIBRARY_IS_GONE.includes(code) || CARD_IS_GONE.includes(code)) throw new NvmlError(library, what, code);
  return code === CODE.SUCCESS;
}

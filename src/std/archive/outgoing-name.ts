/** A file as its folder has it, and as the archive calls it. */
export interface OutgoingName {
  readonly raw: Buffer;
  readonly name: string;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Names of one folder for an archive, in the order of their bytes. What no reader of archives would take (bytes that are not
 * UTF-8, control characters, backslashes, a drive at the very front) is written as `%` and two hexadecimal digits for each
 * such byte, and so is `%` in such a name; where that meets a name that is there already, a number is added.
 *
 * @param isTop whether the names begin the whole path.
 */
export function outgoingNames(raws: readonly Buffer[], isTop: boolean): readonly OutgoingName[] {
  const sorted = [...raws].sort((a, b) => Buffer.compare(a, b));
  const plain = sorted.map((raw) => plainName(raw, isTop));
  const taken = new Set(plain);
  return sorted.map((raw, i) => ({ raw, name: plain[i] ?? free(escaped(raw), taken) }));
}

function plainName(raw: Buffer, isTop: boolean): string | undefined {
  if (raw.some(isBadByte) || (isTop && hasDrive(raw))) return undefined;
  try {
    return decoder.decode(raw);
  } catch {
    return undefined;
  }
}

const isBadByte = (byte: number): boolean => byte < 0x20 || byte === 0x7f || byte === 0x5c;

const hasDrive = (raw: Buffer): boolean => /^[A-Za-z]:/.test(raw.toString("latin1", 0, 2));

const PERCENT = 0x25;
const COLON = 0x3a;

function escaped(raw: Buffer): string {
  let text = "";
  for (const byte of raw) {
    const isPlain = byte < 0x80 && !isBadByte(byte) && byte !== PERCENT && byte !== COLON;
    text += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

function free(name: string, taken: Set<string | undefined>): string {
  let candidate = name;
  for (let i = 2; taken.has(candidate); i += 1) candidate = `${name}~${i}`;
  taken.add(candidate);
  return candidate;
}

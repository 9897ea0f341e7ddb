const BLOCK = 512;

export interface TarFile {
  readonly path: string;
  readonly content: Uint8Array;
  /** Default: 0644. */
  readonly mode?: number;
  /** Makes a symbolic link to this path instead of a file. */
  readonly linkTo?: string;
}

/** Writes a small ustar archive in memory. The same files give the same bytes: owner, group and time are all zero. */
export function tar(files: readonly TarFile[]): Buffer {
  const parts: Buffer[] = [];
  for (const file of files) {
    parts.push(header(file), Buffer.from(file.content), Buffer.alloc(padding(file.content.length)));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/** The fields of POSIX.1-1988 `ustar`: octal numbers, text, and a sum over the header with its own field as spaces. */
function header({ path, content, mode = 0o644, linkTo }: TarFile): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(path, 0, 100, "utf8");
  octal(block, mode, 100, 8);
  octal(block, 0, 108, 8);
  octal(block, 0, 116, 8);
  octal(block, content.length, 124, 12);
  octal(block, 0, 136, 12);
  block.write(linkTo === undefined ? "0" : "2", 156);
  if (linkTo !== undefined) block.write(linkTo, 157, 100, "utf8");
  block.write("ustar\u000000", 257, "latin1");
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\u0000 `, 148, "latin1");
  return block;
}

function octal(block: Buffer, value: number, offset: number, length: number): void {
  block.write(`${value.toString(8).padStart(length - 1, "0")}\u0000`, offset, "latin1");
}

function padding(length: number): number {
  return (BLOCK - (length % BLOCK)) % BLOCK;
}

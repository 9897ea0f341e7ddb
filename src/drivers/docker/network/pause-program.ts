import { ExecutorError } from "../../../core/index.ts";

/** One way to sleep for ever: the machine's number in ELF, the code, and the page size that its loader may want. */
interface Machine {
  readonly elf: number;
  readonly code: readonly number[];
  readonly align: number;
}

/** An endless loop around a system call that only a deadly signal ends. */
const MACHINES: Readonly<Record<string, Machine>> = {
  // mov eax, 34 (pause); syscall; jmp to the start
  amd64: { elf: 62, code: [0xb8, 0x22, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xeb, 0xf7], align: 0x1000 },
  // mov x0..x4, 0; mov x8, 73 (ppoll without descriptors, timeout or mask); svc 0; b to the start
  arm64: {
    elf: 183,
    code: [
      0xd2800000, 0xd2800001, 0xd2800002, 0xd2800003, 0xd2800004, 0xd2800928, 0xd4000001, 0x17fffff9,
    ].flatMap((word) => [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24]),
    align: 0x10000,
  },
};

const ELF_HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const LOAD_ADDRESS = 0x400000n;

/**
 * A static program of some 130 bytes that does nothing until it is killed. It needs no file of any image and no registry.
 *
 * @param architecture as engines call it: `amd64` or `arm64`.
 * @throws {@link ExecutorError} ENGINE_FAILED for any other.
 * @see System V ABI, "Object Files": one 64-bit header, one PT_LOAD segment that covers the whole file.
 */
export function pauseProgram(architecture: string): Buffer {
  const machine = MACHINES[architecture];
  if (machine === undefined) {
    const reason = `task networks are made for amd64 and arm64 only, this engine runs ${architecture}`;
    throw new ExecutorError("ENGINE_FAILED", { reason });
  }
  const start = ELF_HEADER_SIZE + PROGRAM_HEADER_SIZE;
  const file = Buffer.alloc(start + machine.code.length);
  file.write("\u007fELF\u0002\u0001\u0001", 0, "latin1"); // 64 bits, little-endian, version 1
  file.writeUInt16LE(2, 16); // executable
  file.writeUInt16LE(machine.elf, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(LOAD_ADDRESS + BigInt(start), 24); // entry point
  file.writeBigUInt64LE(BigInt(ELF_HEADER_SIZE), 32); // where the program header is
  file.writeUInt16LE(ELF_HEADER_SIZE, 52);
  file.writeUInt16LE(PROGRAM_HEADER_SIZE, 54);
  file.writeUInt16LE(1, 56); // one program header
  file.writeUInt32LE(1, ELF_HEADER_SIZE); // PT_LOAD
  file.writeUInt32LE(5, ELF_HEADER_SIZE + 4); // readable, executable
  file.writeBigUInt64LE(LOAD_ADDRESS, ELF_HEADER_SIZE + 16);
  file.writeBigUInt64LE(LOAD_ADDRESS, ELF_HEADER_SIZE + 24);
  file.writeBigUInt64LE(BigInt(file.length), ELF_HEADER_SIZE + 32);
  file.writeBigUInt64LE(BigInt(file.length), ELF_HEADER_SIZE + 40);
  file.writeBigUInt64LE(BigInt(machine.align), ELF_HEADER_SIZE + 48);
  Buffer.from(machine.code).copy(file, start);
  return file;
}

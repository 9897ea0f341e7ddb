import { readFileSync } from "node:fs";

/** One row of `/proc/net/tcp` or `tcp6`. Addresses are as the kernel prints them: hexadecimal, by 32-bit words in host order. */
export interface TcpSocket {
  readonly local: string;
  readonly remote: string;
  readonly isListening: boolean;
  readonly uid: number;
  readonly inode: number;
}

const LISTEN = "0A";

/** @see proc(5), "/proc/net/tcp". */
export function parseTcpTable(text: string): readonly TcpSocket[] {
  const sockets: TcpSocket[] = [];
  for (const line of text.split("\n").slice(1)) {
    const [, local, remote, state, , , , uid, , inode] = line.trim().split(/\s+/);
    if (local === undefined || remote === undefined || inode === undefined) continue;
    sockets.push({ local, remote, isListening: state === LISTEN, uid: Number(uid), inode: Number(inode) });
  }
  return sockets;
}

/** All TCP sockets of this network name space. */
export function tcpSockets(): readonly TcpSocket[] {
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => parseTcpTable(readTable(path)));
}

/** The tables as the kernel prints them; a look at them costs milliseconds where many connections have just ended. */
export function tcpTableText(): string {
  return ["/proc/net/tcp", "/proc/net/tcp6"].map(readTable).join("");
}

/**
 * The uid of the socket between two ends, without parsing the table.
 *
 * @param local and remote: the forms in which the kernel may print each end.
 */
export function uidBetween(
  text: string,
  local: readonly string[],
  remote: readonly string[],
): number | undefined {
  for (const here of local) {
    for (const there of remote) {
      const at = text.indexOf(` ${here} ${there} `);
      if (at === -1) continue;
      const [, , , , , , uid] = text.slice(at, text.indexOf("\n", at)).trim().split(/\s+/);
      return Number(uid);
    }
  }
  return undefined;
}

/** All TCP sockets of the network that a process is in; none when it has ended. */
export function tcpSocketsOf(pid: number): readonly TcpSocket[] {
  return [`/proc/${pid}/net/tcp`, `/proc/${pid}/net/tcp6`].flatMap((path) => parseTcpTable(readTable(path)));
}

/** Whether somebody listens on a port, but on nothing except loopback. */
export function isOnLoopbackOnly(port: number, sockets: readonly TcpSocket[]): boolean {
  const listeners = listenersOn(port, sockets);
  return listeners.length > 0 && listeners.every(({ local }) => LOOPBACK.test(local));
}

/** Any of `127.0.0.0/8`, alone or mapped into IPv6, and `::1`. */
const LOOPBACK = /^(?:0{16}FFFF0000)?[0-9A-F]{6}7F:|^0{24}01000000:/;

/** Those that listen on a port, on whichever address. */
export function listenersOn(
  port: number,
  sockets: readonly TcpSocket[] = tcpSockets(),
): readonly TcpSocket[] {
  const suffix = `:${hexPort(port)}`;
  return sockets.filter(({ isListening, local }) => isListening && local.endsWith(suffix));
}

/**
 * How the kernel prints an address and port: an IPv4 address in both the forms that it may take (in `tcp`, and mapped in
 * `tcp6`), an IPv6 address in its one. Empty for what is neither.
 */
export function kernelForms(address: string, port: number): readonly string[] {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  const suffix = `:${hexPort(port)}`;
  if (/^\d+\.\d+\.\d+\.\d+$/.test(plain)) {
    const word = hexWord(plain.split(".").map(Number));
    return [`${word}${suffix}`, `0000000000000000FFFF0000${word}${suffix}`];
  }
  const bytes = ipv6Bytes(plain);
  if (bytes === undefined) return [];
  const words = [0, 4, 8, 12].map((at) => hexWord(bytes.slice(at, at + 4)));
  return [`${words.join("")}${suffix}`];
}

function readTable(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // A host without IPv6 has no second table.
    return "";
  }
}

function hexPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}

/** Little-endian, as on every machine that Node runs on today. */
function hexWord(bytes: readonly number[]): string {
  return [...bytes]
    .reverse()
    .map((byte) => byte.toString(16).toUpperCase().padStart(2, "0"))
    .join("");
}

function ipv6Bytes(address: string): readonly number[] | undefined {
  const [head = "", tail] = address.split("::");
  const groups = (text: string): readonly string[] => (text === "" ? [] : text.split(":"));
  const before = groups(head);
  const after = groups(tail ?? "");
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 0) return undefined;
  const all = [...before, ...Array.from({ length: missing }, () => "0"), ...after];
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]);
}

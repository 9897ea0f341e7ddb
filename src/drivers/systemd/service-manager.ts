import { sleep } from "../../std/index.ts";

/**
 * Tells systemd (`Type=notify`) how the daemon does. Where nobody asked to be told, everything here does nothing; a message
 * that cannot be sent is dropped, since there is nobody else to tell.
 *
 * @see sd_notify(3)
 */
export interface ServiceManager extends Disposable {
  /** Whether somebody asked to be told, and can be. */
  readonly isListening: boolean;
  /** Why messages cannot be sent although somebody asked. */
  readonly problem: string | undefined;
  ready(status: string): void;
  status(status: string): void;
  stopping(): void;
  /** Says that the daemon is alive, as often as the service manager wants; ends by throwing the signal's reason. */
  keepAlive(signal: AbortSignal): Promise<void>;
}

type Env = Readonly<Record<string, string | undefined>>;
type Send = (message: string) => void;

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const LONGEST_PATH = 107;

/** Opens the way that `NOTIFY_SOCKET` names, through libc: Node has no Unix datagram sockets. */
export async function openServiceManager(env: Env): Promise<ServiceManager> {
  const path = env["NOTIFY_SOCKET"];
  if (path === undefined || path === "") return manager(undefined, undefined, undefined);
  try {
    return manager(await openSocket(path), watchdogMs(env), undefined);
  } catch (error) {
    // koffi is optional, and libc may have another name; a daemon that serves must not fail for that.
    const reason = error instanceof Error ? error.message : String(error);
    return manager(undefined, undefined, `systemd cannot be told: ${reason}`);
  }
}

interface OpenSocket {
  send: Send;
  close(): void;
}

function manager(
  socket: OpenSocket | undefined,
  aliveMs: number | undefined,
  problem: string | undefined,
): ServiceManager {
  const send: Send = (message) => socket?.send(message);
  return {
    isListening: socket !== undefined,
    problem,
    ready: (status) => send(`READY=1\nSTATUS=${oneLine(status)}`),
    status: (status) => send(`STATUS=${oneLine(status)}`),
    stopping: () => send("STOPPING=1"),
    async keepAlive(signal) {
      if (aliveMs === undefined) return;
      for (;;) {
        send("WATCHDOG=1");
        await sleep(aliveMs, signal);
      }
    },
    [Symbol.dispose]: () => socket?.close(),
  };
}

/** Half of the time that the service manager waits, if it waits for this process. */
function watchdogMs(env: Env): number | undefined {
  const wanted = Number(env["WATCHDOG_USEC"] ?? Number.NaN);
  const pid = env["WATCHDOG_PID"];
  if (!(wanted > 0) || (pid !== undefined && pid !== String(process.pid))) return undefined;
  return Math.max(100, wanted / 2000);
}

function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").slice(0, 500);
}

/** @param path a socket's path, or an abstract name that begins with `@`. */
async function openSocket(path: string): Promise<OpenSocket> {
  const name = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : path);
  if (name.length > LONGEST_PATH) throw new Error("NOTIFY_SOCKET is too long for an address");
  const { default: koffi } = await import("koffi");
  const libc = koffi.load("libc.so.6");
  const address = Buffer.alloc(2 + name.length + (path.startsWith("@") ? 0 : 1));
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  const openFd = libc.func("int socket(int, int, int)");
  const closeFd = libc.func("int close(int)");
  const sendTo = libc.func("long sendto(int, const void *, size_t, int, const void *, uint)");
  const fd = Number(openFd(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd < 0) throw new Error("no socket could be made");
  let isOpen = true;
  return {
    send(message) {
      if (!isOpen) return;
      const bytes = Buffer.from(message);
      sendTo(fd, bytes, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT, address, address.length);
    },
    close() {
      if (isOpen) closeFd(fd);
      isOpen = false;
    },
  };
}

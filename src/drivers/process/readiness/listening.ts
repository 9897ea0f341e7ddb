import type { TaskNetwork } from "../network/index.ts";
import { socketInodesOf } from "../process-table.ts";
import type { TaskProcesses } from "../task/task-processes.ts";
import { LOOPBACK } from "../world.ts";
import { isOnLoopbackOnly, listenersOn, tcpSocketsOf } from "./socket-table.ts";

/** Where a task is called, and who listens there. */
export interface Listening {
  readonly endpoint: { readonly host: string; readonly port: number };
  /** Whether the one who listens there is this task. */
  isListener(): boolean;
  /** Whether it listens on loopback, and by that nowhere that the daemon can call. */
  isOnLoopbackOnly(): boolean;
  /** Whether, once all its processes are gone, somebody listens there. */
  hasStranger(): boolean;
}

export interface ListeningTask {
  readonly port: number;
  readonly leader: number;
  readonly processes: TaskProcesses;
  /** The uid that no other sandbox has. */
  readonly ownUid: number | undefined;
}

export function listeningOf(network: TaskNetwork | undefined, task: ListeningTask): Listening {
  const { port, leader } = task;
  if (network === undefined)
    return {
      endpoint: { host: LOOPBACK, port },
      isListener: () => listens(task),
      // Loopback is where the daemon calls.
      isOnLoopbackOnly: () => false,
      hasStranger: () => listenersOn(port).length > 0,
    };
  return {
    endpoint: { host: network.address, port },
    // Nobody else is in there.
    isListener: () => true,
    isOnLoopbackOnly: () => isOnLoopbackOnly(port, tcpSocketsOf(leader)),
    hasStranger: () => false,
  };
}

/**
 * A port that accepts proves nothing by itself: any program of the host may have taken it. The socket's uid tells where each
 * sandbox has its own; otherwise the socket must be held by one of its processes, where we may look at them.
 */
function listens({ port, ownUid, processes }: ListeningTask): boolean {
  const listeners = listenersOn(port);
  if (ownUid !== undefined) return listeners.some((listener) => listener.uid === ownUid);
  const held = new Set(processes.list().flatMap(socketInodesOf));
  return held.size === 0 || listeners.some(({ inode }) => held.has(inode));
}

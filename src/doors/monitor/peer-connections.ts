import type { Server } from "node:http";
import type { Socket } from "node:net";

export interface PeerLimits {
  readonly connections: number;
  /** Of one address: nobody can hold all of them. */
  readonly connectionsPerPeer: number;
}

interface Known {
  readonly peer: string;
  /** Requests that it sent and that are not answered yet. */
  underWay: number;
}

/**
 * Keeps the connections of a server within its limits. Past one of them the connection goes that has been open for the longest
 * without a request under way: of the same peer past its own share, of anybody past them all. When each of them has one, the new
 * connection goes.
 */
export function limitPeers(server: Server, limits: PeerLimits): void {
  // In the order in which they came.
  const open = new Map<Socket, Known>();
  const dropIdle = (isMeant: (known: Known) => boolean): boolean => {
    for (const [socket, known] of open) {
      if (known.underWay > 0 || !isMeant(known)) continue;
      open.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  };
  const hasRoom = (peer: string): boolean => {
    const own = [...open.values()].filter((known) => known.peer === peer).length;
    if (own >= limits.connectionsPerPeer) return dropIdle((known) => known.peer === peer);
    return open.size < limits.connections || dropIdle(() => true);
  };
  server.on("connection", (socket) => {
    const peer = socket.remoteAddress ?? "";
    if (!hasRoom(peer)) {
      socket.destroy();
      return;
    }
    open.set(socket, { peer, underWay: 0 });
    socket.once("close", () => open.delete(socket));
  });
  server.on("request", ({ socket }, response) => {
    const known = open.get(socket);
    if (known === undefined) return;
    known.underWay += 1;
    response.once("close", () => {
      known.underWay -= 1;
    });
  });
}

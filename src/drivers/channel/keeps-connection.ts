import { connect } from "node:net";
import type { Endpoint } from "../../core/index.ts";

/** Several turns instead of one long wait: after a time in which this process was kept from running, it reads between two of them. */
const TURN_MS = 20;
/** A server on this host answers a connect in microseconds; one that hangs is not known to run. */
const CONNECT_TURNS = 12;
/** A program that is ending closes what it has within this time; and a proxy before it has noticed. */
const HOLD_TURNS = 3;

/** Whether a server accepts a connection and does not end it at once. Never rejects; always closes the connection. */
export function keepsConnection(endpoint: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: endpoint.host, port: endpoint.port });
    let stop = afterTurns(CONNECT_TURNS, () => settle(false));
    const settle = (isKept: boolean): void => {
      stop();
      socket.destroy();
      resolve(isKept);
    };
    socket.on("connect", () => {
      stop();
      stop = afterTurns(HOLD_TURNS, () => settle(true));
    });
    socket.on("error", () => settle(false));
    socket.on("close", () => settle(false));
    socket.resume();
  });
}

/** @returns what ends it before. */
function afterTurns(turns: number, act: () => void): () => void {
  let left = turns;
  const turn = (): void => {
    left -= 1;
    if (left <= 0) act();
    else timer = setTimeout(turn, TURN_MS);
  };
  let timer = setTimeout(turn, TURN_MS);
  return () => clearTimeout(timer);
}

/** The thread that keeps the chain of receipts: hashing, signing and the disk stay off the thread that answers calls. */
import { parentPort, workerData } from "node:worker_threads";
import libsql from "libsql";
import type { ChainPlace } from "../chain-writer.ts";
import type { ChainVerbs } from "../open-chain.ts";
import { openChain } from "../open-chain.ts";
import type { Question, Reply } from "../thread-messages.ts";
import { sendError } from "../thread-messages.ts";

function answer(verbs: ChainVerbs, { id, verb, args }: Question): Reply {
  try {
    const run = verbs[verb] as (...args: readonly unknown[]) => unknown;
    return { id, result: run(...args) };
  } catch (error) {
    return { id, error: sendError(error) };
  }
}

function serve(): void {
  const port = parentPort;
  if (port === null) throw new Error("this program is a thread of the daemon");
  const send = (reply: Reply): void => {
    port.postMessage(reply);
  };
  try {
    const verbs = openChain(libsql, workerData as ChainPlace);
    port.on("message", (question: Question) => {
      send(answer(verbs, question));
      if (question.verb === "close") port.close();
    });
    send({ id: 0 });
  } catch (error) {
    send({ id: 0, error: sendError(error) });
  }
}

serve();

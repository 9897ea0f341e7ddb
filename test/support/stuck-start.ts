/** A daemon whose start neither ends nor obeys its signal: only the second wish to stop gets it down. */
import { connect, createServer } from "node:net";
import { listenToSignals } from "../../src/signals.ts";

const wishes = listenToSignals();
wishes.ended.addEventListener("abort", () => process.stdout.write("asked\n"));
// Something that never ends by itself.
const server = createServer().listen(0, "127.0.0.1", () => {
  connect({ port: (server.address() as { port: number }).port, host: "127.0.0.1" }, () => {
    process.stdout.write("starting\n");
  });
});

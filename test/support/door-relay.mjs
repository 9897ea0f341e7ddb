// Passes what comes to a Unix socket on to a port of loopback: a way to a daemon on a walled host. Ends with its input.

import { connect, createServer } from "node:net";

const [, , path, port] = process.argv;
const server = createServer((near) => {
  const far = connect(Number(port), "127.0.0.1");
  near.on("error", () => far.destroy()).pipe(far);
  far.on("error", () => near.destroy()).pipe(near);
});
server.listen(path, () => console.log("ready"));
process.stdin.resume().on("end", () => process.exit(0));

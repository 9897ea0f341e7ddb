// One program for every behaviour that the conformance suite asks for; the behaviour is its first argument.

import { writeSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const MARK = "meca-init-done\n";
const behaviour = process.argv[2];
const port = Number(process.env.PORT);
const print = (text, fd = 1) => writeSync(fd, text);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function serve(answer) {
  const server = createServer((request, reply) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => reply.end(await answer(Buffer.concat(chunks).toString("utf8"))));
  });
  return new Promise((resolve) => server.listen(port, "0.0.0.0", resolve));
}

const echo = (body) => body;

const BEHAVIOURS = {
  async echo() {
    await serve(echo);
    print(`hello from echo\n${MARK}`);
  },
  async slowStart() {
    await pause(1000);
    await serve(echo);
    print(MARK);
  },
  async latePort() {
    print(MARK);
    await pause(500);
    await serve(echo);
  },
  async noPort() {
    print(`no port here\n${MARK}`);
    await pause(600_000);
  },
  exitsAtStart() {
    print("cannot begin\n", 2);
    process.exit(42);
  },
  async crashes() {
    await serve(() => process.exit(7));
    print(MARK);
  },
  async ignoresTerm() {
    process.on("SIGTERM", () => print("no\n"));
    await serve(echo);
    print(MARK);
  },
  async markSplit() {
    await serve(echo);
    print(MARK.slice(0, 6));
    await pause(200);
    print(MARK.slice(6));
  },
  async markOnStderr() {
    await serve(echo);
    print(MARK, 2);
  },
  async noMark() {
    await serve(echo);
  },
  async floods() {
    const block = "a line of a flood that nobody reads\n".repeat(1000);
    for (let written = 0; written < 8 * 1_048_576; written += block.length) print(block);
    await serve(echo);
    print(`flood ends\n${MARK}`);
  },
  async eatsMemory() {
    const eaten = [];
    await serve(async () => {
      for (;;) {
        eaten.push(Buffer.alloc(8 * 1_048_576, 1));
        await pause(1);
      }
    });
    print(MARK);
  },
  async talks() {
    await serve((body) => {
      print(`said ${body}\n`);
      return body;
    });
    print(MARK);
  },
  /** Answers with what a task can see of its surroundings: the body is a module whose default export is called. */
  async tells() {
    await serve(async (body) => {
      const { default: look } = await import(`data:text/javascript,${encodeURIComponent(body)}`);
      return JSON.stringify(await look(createRequire(import.meta.url)));
    });
    print(MARK);
  },
};

await BEHAVIOURS[behaviour]();

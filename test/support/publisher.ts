import { openArtifactStore } from "../../src/drivers/artifacts/index.ts";

/**
 * Publishes objects without end, to be killed in the middle of it. Each begins with its own length, so that whoever finds it
 * can tell whether it is whole. The first word that it prints means that it writes now.
 */
const [root = "", seed = "0"] = process.argv.slice(2);
const store = await openArtifactStore(root, { setting: "root" });
const forever = new AbortController().signal;
for (let i = 0; ; i += 1) {
  if (i === 1) process.stdout.write("writing\n");
  await store.write(`d${i % 3}/object-${i % 7}`, whole(Number(seed) + i), { maxBytes: 2 ** 30 }, forever);
}

async function* whole(number: number): AsyncIterable<Uint8Array> {
  const piece = Buffer.alloc(64 * 1024, number % 256);
  const pieces = 1 + (number % 16);
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(pieces * piece.length));
  yield head;
  for (let i = 0; i < pieces; i += 1) yield piece;
}

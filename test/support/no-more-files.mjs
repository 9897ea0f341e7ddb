// Run under a small limit of open files, with tsx: starts processes when no more files can be opened, and says what came of it.
import { closeSync, openSync } from "node:fs";
import { querySmi } from "../../src/drivers/gpu/query-smi.ts";
import { runReader } from "../../src/drivers/gpu/run-reader.ts";
import { runIp } from "../../src/drivers/process/network/run-ip.ts";
import { launchDirectly } from "../../src/drivers/process/task/launch.ts";
import { runProgram } from "../../src/std/firewall/run-nft.ts";

const held = [];
try {
  for (;;) held.push(openSync("/dev/null", "r"));
} catch {
  // That was the last one.
}
const launched = await launchDirectly({ argv: ["/bin/true"], folder: "/", environment: {} }).catch(
  (error) => error,
);
const ran = await runIp("/bin/true", [], []).catch((error) => error);
const ruled = await runProgram("/bin/true", []).catch((error) => error);
const asked = await querySmi("/bin/true", new AbortController().signal).answer;
const read = await runReader({ command: ["/bin/true"], pollMs: 1, firstWordMs: 60_000, silentMs: 60_000 })
  .ended;
for (const file of held) closeSync(file);
await new Promise((resolve) => setImmediate(resolve));
console.log(launched.code, launched.cause?.code, ran.code, ruled.code);
console.log(asked.reason);
console.log(read.reason);

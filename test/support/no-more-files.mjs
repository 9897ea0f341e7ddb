// Run under a small limit of open files, with tsx: starts processes when no more files can be opened, and says what came of it.
import { closeSync, openSync } from "node:fs";
import { runIp } from "../../src/drivers/process/network/run-ip.ts";
import { launchDirectly } from "../../src/drivers/process/task/launch.ts";

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
for (const file of held) closeSync(file);
await new Promise((resolve) => setImmediate(resolve));
console.log(launched.code, launched.cause?.code, ran.code);

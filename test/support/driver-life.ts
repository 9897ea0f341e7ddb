import type { DockerDriverOptions } from "../../src/drivers/docker/index.ts";
import { openDockerDriver } from "../../src/drivers/docker/index.ts";
import { postOverHttp } from "../conformance/sandbox-driver/harness.ts";
import { never, startTask } from "./docker-world.ts";
import { poll } from "./poll.ts";

/** One life of a docker driver in a process of its own, so that a test can kill it or put it into a container's network. */
interface Life {
  readonly driver: DockerDriverOptions;
  readonly image: string;
  readonly tasks: number;
  /** Ends properly once its tasks have answered; otherwise stays until it is killed. */
  readonly isShort: boolean;
}

const life = JSON.parse(process.argv[2] ?? "") as Life;
const driver = await openDockerDriver(life.driver, never());
// As a daemon begins: what an earlier life left and nobody can take over is swept.
await driver.leftovers(never());
const sandboxes = [];
for (let index = 0; index < life.tasks; index += 1) sandboxes.push(await startTask(driver, life.image));
const answers = await Promise.all(sandboxes.map((sandbox) => postOverHttp(sandbox, "hello")));
process.stdout.write(`${JSON.stringify({ labels: sandboxes.map(({ label }) => label), answers })}\n`);
if (life.isShort) {
  for (const sandbox of sandboxes) await sandbox.stop(0);
  await driver[Symbol.asyncDispose]();
} else {
  await poll("somebody kills this process", () => "still alive", 120_000);
}

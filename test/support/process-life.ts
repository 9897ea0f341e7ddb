import type { ProcessDriverOptions } from "../../src/drivers/process/index.ts";
import { openProcessDriver } from "../../src/drivers/process/index.ts";
import { neverAborted, specFor } from "../conformance/sandbox-driver/scene.ts";

/**
 * One life of a process driver in a process of its own, to be killed: starts one sandbox that stays as it is and one that is
 * frozen, prints their ids and waits. Its only argument is JSON: the driver's options and the image.
 */
const { image, ...options } = JSON.parse(process.argv[2] ?? "") as ProcessDriverOptions & {
  readonly image: string;
};
const driver = await openProcessDriver(options, neverAborted());
const resolved = await driver.resolve(image, { refresh: "missing" }, neverAborted());
const [awake, frozen] = await Promise.all([
  driver.start(specFor(image, resolved), neverAborted()),
  driver.start(specFor(image, resolved), neverAborted()),
]);
await frozen.freeze(neverAborted());
console.log(JSON.stringify({ awake: awake.id, frozen: frozen.id, ...awake.endpoint }));
setTimeout(() => undefined, 60_000);

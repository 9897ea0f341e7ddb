import { createRequire } from "node:module";
import { createServer } from "node:net";
import type { NetworkPolicy, Sandbox } from "../../src/core/index.ts";
import type { ProcessDriverOptions } from "../../src/drivers/process/index.ts";
import { openProcessDriver } from "../../src/drivers/process/index.ts";
import { postOverHttp } from "../conformance/sandbox-driver/harness.ts";
import { neverAborted, specFor } from "../conformance/sandbox-driver/scene.ts";
import type { LifeSettings, Wish } from "./network-life-caller.ts";

/**
 * One life of a process driver on a walled host, beside services of that host. Does what its parent asks over the channel, one
 * after the other. Its only argument is JSON.
 */
const settings = JSON.parse(process.argv[2] ?? "") as LifeSettings;
for (const where of settings.services) {
  const server = createServer((socket) => {
    const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
    const isTask = driver.isTaskAddress({ remoteAddress, remotePort, localAddress, localPort });
    socket.on("error", () => undefined).end(`host ${remoteAddress} ${isTask ? "task" : "other"}`);
  });
  await new Promise<void>((resolve) => {
    server.listen(where, resolve);
  });
  server.unref();
}
const events: unknown[] = [];
const options: ProcessDriverOptions = {
  ...settings.driver,
  log: { log: (level, event, fields) => void events.push({ level, event, fields }) },
};
const driver = await openProcessDriver(options, neverAborted());
const sandboxes: Sandbox[] = [];

async function start(image: string, network: NetworkPolicy | "default"): Promise<number> {
  const resolved = await driver.resolve(image, { refresh: "missing" }, neverAborted());
  const plain = specFor(image, resolved);
  sandboxes.push(await driver.start({ ...plain, task: { ...plain.task, network } }, neverAborted()));
  return sandboxes.length - 1;
}

async function look(program: string, where: number | "host"): Promise<unknown> {
  if (where !== "host") {
    const sandbox = sandboxes[where];
    if (sandbox === undefined) throw new Error("no such sandbox");
    return JSON.parse((await postOverHttp(sandbox, program)).body);
  }
  const module = (await import(`data:text/javascript,${encodeURIComponent(program)}`)) as {
    default: (require: NodeJS.Require) => unknown;
  };
  return await module.default(createRequire(import.meta.url));
}

async function obey(wish: Wish): Promise<unknown> {
  switch (wish.type) {
    case "start":
      return await start(wish.image, wish.network);
    case "look":
      return await look(wish.program, wish.where);
    case "endpoint":
      return sandboxes[wish.sandbox]?.endpoint;
    case "facts":
      return { networks: driver.networks(), reach: driver.reach, events };
    case "sweep":
      return await Promise.all(
        (await driver.leftovers(neverAborted())).map((one) => one.reap(neverAborted())),
      ).then((reaped) => reaped.length);
    case "close":
      await Promise.all(sandboxes.map((sandbox) => sandbox.stop(0)));
      await driver[Symbol.asyncDispose]();
      return undefined;
  }
}

process.on("message", (wish: Wish) => {
  obey(wish).then(
    (value) => process.send?.({ value }),
    (error: unknown) => {
      const { code, message, facts } = error as { code?: string; message?: string; facts?: unknown };
      process.send?.({ error: { code, message, facts } });
    },
  );
});
process.on("disconnect", () => process.exit());
process.send?.({ value: "open" });

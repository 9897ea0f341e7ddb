import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Caller } from "../support/caller.ts";
import { kept } from "../support/kept.ts";
import { poll } from "../support/poll.ts";
import { servePeer } from "../support/scripted-peer.ts";
import { startDaemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

test("A7: a start that is given up while an artifact store keeps it waiting lets calls finish that it has taken", async () => {
  const world = kept(await StreamWorld.open());
  const task = join(world.folder, "tasks/obeys");
  await mkdir(task);
  await cp(new URL("../support/tasks/obeys.mjs", import.meta.url), join(task, "obeys.mjs"));
  await writeFile(
    join(task, "task.json"),
    JSON.stringify({ id: "test/obeys", command: ["node", "obeys.mjs"] }),
  );
  // Takes connections, and says nothing.
  const store = kept(await servePeer(() => undefined));
  const stream = {
    artifact_store: "s3://silent/jobs",
    s3_endpoint: `http://127.0.0.1:${store.port}`,
    s3_region: "here",
  };
  const daemon = kept(
    await startDaemon({
      config: world.config("one", stream),
      env: {
        ...{ AWS_ACCESS_KEY_ID: "nobody", AWS_SECRET_ACCESS_KEY: "nothing" },
        ...{ HEARTH_DRAIN_TIMEOUT_S: "120", HEARTH_HTTP_CLOSE_GRACE_S: "1" },
      },
      waits: false,
    }),
  );
  const health = (): Promise<number> => fetch(`${daemon.baseUrl}/health`).then(({ status }) => status);
  await poll("calls are taken", () =>
    health().then(
      (status) => status === 200 || daemon.log(),
      () => daemon.log(),
    ),
  );
  const caller = new Caller(daemon.baseUrl);
  const call = caller.call("test/obeys", "await sleep(10_000); return 'whole'", { mem: 64 });
  await poll("the store is asked, and the call runs", async () => {
    const text = JSON.stringify(await caller.get("/v1/sandboxes"));
    return (store.sockets.length > 0 && text.includes('"slotsUsed":1')) || text;
  });
  expect((await fetch(`${daemon.monitorUrl}/monitoring/startup`)).status).toBe(503);
  const ended = daemon.end("SIGTERM");
  await poll("it takes no more", () =>
    health().then(
      (status) => status === 503 || "it does",
      () => true,
    ),
  );
  expect(await call).toMatchObject({ status: 200, text: "whole" });
  expect(await ended).toBe(0);
  expect(daemon.log()).not.toContain("executor.started");
}, 180_000);

import { afterEach, expect, test } from "vitest";
import { FakeExecutor } from "../../../test/support/fake-executor.ts";
import { ExecutorError } from "../../core/index.ts";
import { silentLog } from "../../telemetry/index.ts";
import type { MonitorParts } from "./door-options.ts";
import type { MonitorDoor } from "./open-monitor-door.ts";
import { openMonitorDoor } from "./open-monitor-door.ts";

let door: MonitorDoor | undefined;
afterEach(async () => {
  await door?.[Symbol.asyncDispose]();
});

async function open(): Promise<MonitorDoor> {
  door = await openMonitorDoor({ host: "127.0.0.1", port: 0, log: silentLog });
  return door;
}

const parts = (more: Partial<MonitorParts> = {}): MonitorParts => ({
  executor: new FakeExecutor(),
  identity: { executorId: "e1", version: "1", environment: "host" },
  engine: {
    ask: () => Promise.resolve({ isHealthy: true, detail: "" }),
    last: { isHealthy: true, detail: "" },
  },
  metrics: { contentType: "text/plain; version=0.0.4", text: () => Promise.resolve("a 1\n") },
  doors: () => [{ name: "http", isOpen: true }],
  wallMs: () => 0,
  ...more,
});

test("whom the guard turns away learns why, and reaches neither our paths nor the pages", async () => {
  const { url, guardWith, serveOthers, open: show } = await open();
  let pages = 0;
  show(parts());
  serveOthers(() => {
    pages += 1;
    return true;
  });
  guardWith({
    check: () => {
      throw new ExecutorError("SOURCE_FORBIDDEN");
    },
  });
  for (const path of ["/livez", "/metrics", "/anything"]) {
    const answer = await fetch(`${url}${path}`);
    expect([answer.status, answer.headers.get("hearth-error")]).toEqual([403, "SOURCE_FORBIDDEN"]);
    expect(answer.headers.get("connection")).toBe("close");
  }
  expect(pages).toBe(0);
});

test("a door that is shut makes the daemon ill, by name", async () => {
  const { url, open: show } = await open();
  show(parts({ doors: () => [{ name: "http", isOpen: false }] }));
  const answer = await fetch(`${url}/monitoring/health`);
  expect([answer.status, await answer.text()]).toEqual([
    503,
    '{"status":"nok","message":"door http: it is closed","checker":"GenericHealthChecker"}',
  ]);
});

test("metrics that cannot be read are a defect of ours, and are told as one", async () => {
  const { url, open: show } = await open();
  const text = (): Promise<string> => Promise.reject(new Error("a secret of ours"));
  show(parts({ metrics: { contentType: "", text } }));
  const answer = await fetch(`${url}/metrics`);
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toContain("secret");
});

test("closing ends connections that wait, and answers nobody afterwards", async () => {
  const opened = await open();
  expect(await (await fetch(`${opened.url}/livez`)).text()).toBe("ok");
  await opened[Symbol.asyncDispose]();
  await expect(fetch(`${opened.url}/livez`)).rejects.toThrow();
});

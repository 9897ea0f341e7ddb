import type { ConfigEntry } from "../../src/contract/v1/config.ts";
import type { LogEvent, LogFields } from "../../src/core/index.ts";
import type { ConfigChange, HttpDoorOptions } from "../../src/doors/http/door-options.ts";
import { EventFeed } from "../../src/doors/http/feed/event-feed.ts";
import type { HttpDoor } from "../../src/doors/http/open-http-door.ts";
import { openHttpDoor } from "../../src/doors/http/open-http-door.ts";
import { MemoryRunStore } from "../../src/drivers/records/memory-run-store.ts";
import { DEFAULT_RUN_LIMITS } from "../../src/drivers/records/open-run-store.ts";
import type { Executor } from "../../src/engine/executor.ts";
import { TimerWheel } from "../../src/std/index.ts";
import { FakeExecutor } from "./fake-executor.ts";
import { MemoryReceipts } from "./memory-receipts.ts";

export interface TestDoor<E extends Executor = FakeExecutor> extends HttpDoor {
  readonly executor: E;
  readonly log: { readonly event: LogEvent; readonly fields: LogFields }[];
  readonly settings: Map<string, ConfigEntry["value"]>;
  stops: number;
}

/** A door on a free loopback port, in front of a fake executor. */
export async function openTestDoor(options: Partial<HttpDoorOptions> = {}): Promise<TestDoor> {
  const executor = new FakeExecutor();
  const log: TestDoor["log"] = [];
  const settings: TestDoor["settings"] = new Map<string, ConfigEntry["value"]>([
    ["timeout", 1],
    ["cpu", 4],
    ["mem", 4096],
    ["has_gpu", false],
    ["microVM_runtime", ""],
  ]);
  const facts = { executor, log, settings, stops: 0 };
  const door = await openHttpDoor(
    {
      host: "127.0.0.1",
      port: 0,
      version: "0.0.0-test",
      hostNames: [],
      allowedOrigins: [],
      tokens: [],
      isTaskAddress: () => false,
      receipts: new MemoryReceipts(),
      records: new MemoryRunStore(DEFAULT_RUN_LIMITS, Date.now),
      feed: new EventFeed({ life: "life", nowMs: Date.now }),
      describeConfig: () =>
        [...settings].map(([key, value]) => ({
          key,
          value,
          origin: "default",
          description: key,
          isLive: true,
        })),
      applyConfig: (patch) => Promise.resolve(applyTo(settings, patch)),
      onStop: () => {
        facts.stops += 1;
      },
      log: { log: (_level, event, fields = {}) => log.push({ event, fields }) },
      wheel: new TimerWheel(),
      ...options,
    },
    executor,
  );
  return Object.assign(facts, door);
}

/** Stands in for the real schema: known keys only, and `cpu` above 64 is too much. */
function applyTo(settings: TestDoor["settings"], patch: Readonly<Record<string, unknown>>): ConfigChange {
  const faults = Object.entries(patch).flatMap(([key, value]) => {
    if (!settings.has(key)) return [{ key, message: "there is no such setting" }];
    return key === "cpu" && Number(value) > 64 ? [{ key, message: "expected at most 64" }] : [];
  });
  if (faults.length > 0) return { isApplied: false, faults };
  for (const [key, value] of Object.entries(patch)) settings.set(key, value as ConfigEntry["value"]);
  return { isApplied: true, notes: [] };
}

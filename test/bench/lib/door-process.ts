// The executor and its HTTP door as the daemon builds them, in front of a task that runs already. Prints `port N`.
import { asId } from "../../../src/core/index.ts";
import { openHttpDoor } from "../../../src/doors/http/open-http-door.ts";
import { openCallChannel } from "../../../src/drivers/channel/open-call-channel.ts";
import { MemoryRunStore } from "../../../src/drivers/records/memory-run-store.ts";
import { DEFAULT_RUN_LIMITS } from "../../../src/drivers/records/open-run-store.ts";
import { startExecutor } from "../../../src/engine/start-executor.ts";
import { systemClock, TimerWheel } from "../../../src/std/index.ts";
import { TEST_SETTINGS } from "../../support/test-executor.ts";
import { fixedDriver } from "./fixed-driver.ts";

const wheel = new TimerWheel();
let sandboxes = 0;
const log = { log: () => undefined };
const executor = await startExecutor(
  {
    driver: fixedDriver(Number(process.env["TASK_PORT"])),
    openChannel: openCallChannel({ wheel }),
    host: {
      capacity: { cpuMillis: 8000, memoryBytes: 8 * 2 ** 30 },
      usage: () => ({ cpuPercent: 0, memoryPercent: 0, memoryAvailableBytes: 2 ** 33 }),
    },
    clock: systemClock,
    log,
    settings: TEST_SETTINGS,
    newSandboxId: () => asId<"sandbox">(`s${++sandboxes}`),
  },
  new AbortController().signal,
);
const door = await openHttpDoor(
  {
    host: "127.0.0.1",
    port: 0,
    version: "bench",
    hostNames: [],
    allowedOrigins: [],
    tokens: [],
    isTaskAddress: () => false,
    records: new MemoryRunStore(DEFAULT_RUN_LIMITS, Date.now),
    describeConfig: () => [],
    applyConfig: () => Promise.resolve({ isApplied: true, notes: [] }),
    onStop: () => undefined,
    log,
    wheel,
  },
  executor,
);
process.stdout.write(`port ${door.port}\n`);
process.once("SIGTERM", () => process.exit(0));

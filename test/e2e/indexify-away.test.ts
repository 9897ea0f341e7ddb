import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import Database from "libsql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LINK_TIMES } from "../../src/doors/indexify/link/server-link.ts";
import { AllocationOutcomeSchema } from "../../src/gen/executor_api_pb.js";
import type { DaemonWorld } from "../support/indexify/daemon-world.ts";
import { openDaemonWorld } from "../support/indexify/daemon-world.ts";
import { valueOf } from "../support/indexify/request-end.ts";
import { poll } from "../support/poll.ts";
import { SLACK } from "../support/slack.ts";
import { openTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";

const SLOW_MS = 600_000;
/** The row's own bounds. */
const TOLD_WITHIN_MS = 2 * LINK_TIMES.heartbeatMs * SLACK;
const HALF_OPEN_WITHIN_MS = 30_000 * SLACK;
/** For how long a function runs beside what is done to the server; a machine that stands still must not outlast it. */
const RUNS_S = 8;

/** Every connection of the daemon's door goes through the proxy. */
describe.skipIf(!existsSync("/usr/bin/python3"))(
  "X3, X11: a server that goes away, with the real worker",
  () => {
    let world: DaemonWorld;
    let proxy: TcpProxy;
    beforeAll(async () => {
      world = await openDaemonWorld({
        reach: async (server) => {
          proxy = await openTcpProxy(Number(server.address.split(":")[1]));
          return `127.0.0.1:${proxy.port}`;
        },
      });
    }, 400_000);
    afterAll(async () => {
      await world[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    });

    const untilTold = (withinMs: number): Promise<void> =>
      poll(
        "health tells",
        async () => {
          const { status, text } = await world.monitor("/monitoring/health");
          return (status === 503 && text.includes("door indexify: ")) || text;
        },
        withinMs,
      );
    const untilIdle = (): Promise<void> =>
      poll("its work is done", async () => {
        const { text } = await world.monitor("/state/desired");
        return !text.includes("\nallocation ") || text;
      });
    /** How often the function of a request was run. */
    const runsOf = async (name: string): Promise<number> =>
      (await readFile(join(world.blobs, name), "utf8")).trim().split("\n").length;

    /** The allocations whose ends the daemon has written down, and the server has never had. */
    function untold(): readonly string[] {
      const file = new Database(join(world.daemon.stateDir, "indexify/reports.db"));
      try {
        const rows = file.prepare("SELECT bytes FROM journal WHERE kind = 'outcome'").all();
        const told = new Set(
          world.scheduler.server.outcomes.map(({ outcome }) => outcome.value?.allocationId),
        );
        return (rows as readonly { readonly bytes: ArrayBuffer }[])
          .map(({ bytes }) => fromBinary(AllocationOutcomeSchema, new Uint8Array(bytes)).outcome.value)
          .flatMap((end) => (end === undefined || told.has(end.allocationId) ? [] : [end.allocationId]));
      } finally {
        file.close();
      }
    }

    test.each([
      ["without memory", false],
      ["with memory", true],
    ] as const)(
      "stopped and started again %s: health says why, work goes on, its result comes, nothing is lost or doubled",
      async (name, remembers) => {
        const { scheduler, daemon } = world;
        const { server } = scheduler;
        const file = `counted ${name}`;
        expect(await valueOf(await world.call("hello", "before"))).toBe("hello before");
        const outcomes = server.outcomes.length;
        const counted = world.call("counts", [join(world.blobs, file), RUNS_S]);
        await world.untilRuns();
        const registrations = server.executor(scheduler.executorId).registrations;
        server.stop(remembers);
        proxy.reset();
        await untilTold(TOLD_WITHIN_MS);
        expect((await world.monitor("/monitoring/startup")).status).toBe(200);
        expect((await fetch(`${daemon.baseUrl}/health`)).status).toBe(200);
        // Asked of a server that nobody reaches.
        const asked = world.call("hello", "meanwhile");
        await untilIdle();
        expect(server.outcomes).toHaveLength(outcomes);
        await server.start();
        expect(await valueOf(await counted)).toBe(1);
        expect(await valueOf(await asked)).toBe("hello meanwhile");
        await world.ready();
        expect(server.executor(scheduler.executorId).registrations).toBe(remembers ? registrations : 1);
        expect(await runsOf(file)).toBe(1);
        expect(server.outcomes).toHaveLength(outcomes + 2);
        // A start that was taken without an answer is told again.
        expect(new Set(scheduler.started).size).toBe(2);
        expect(scheduler.terminated).toEqual([]);
        expect(server.violations).toEqual([]);
      },
      SLOW_MS,
    );

    test(
      "a connection that is open on this side only is noticed, and the next one does what was left",
      async () => {
        const { scheduler } = world;
        const { server } = scheduler;
        const outcomes = server.outcomes.length;
        const counted = world.call("counts", [join(world.blobs, "half-open"), RUNS_S]);
        await world.untilRuns();
        proxy.freeze();
        await untilTold(HALF_OPEN_WITHIN_MS);
        await untilIdle();
        expect(server.outcomes).toHaveLength(outcomes);
        proxy.heal();
        expect(await valueOf(await counted)).toBe(1);
        await poll("it is well again", async () => {
          const { status, text } = await world.monitor("/monitoring/health");
          return status === 200 || text;
        });
        expect(await valueOf(await world.call("hello", "again"))).toBe("hello again");
        expect(await runsOf("half-open")).toBe(1);
        expect(server.outcomes).toHaveLength(outcomes + 2);
        expect(scheduler.terminated).toEqual([]);
      },
      SLOW_MS,
    );

    test.each([
      ["without memory", false],
      ["with memory", true],
    ] as const)(
      "what was done while the server was away is told by the daemon's next life, and is not done again: a server %s",
      async (name, remembers) => {
        const { scheduler } = world;
        const { server } = scheduler;
        const outcomes = server.outcomes.length;
        const file = `next life ${name}`;
        const counted = world.call("counts", [join(world.blobs, file), RUNS_S]);
        await world.untilRuns();
        server.stop(remembers);
        proxy.reset();
        await untilTold(TOLD_WITHIN_MS);
        await untilIdle();
        // Reports are written down together, a moment after they came.
        await poll("its end is written down", () => untold().length > 0 || "not yet");
        await world.daemon.end("SIGKILL");
        await server.start();
        await world.startAgain();
        expect(await valueOf(await counted)).toBe(1);
        // Whatever the server asks of the next life has been asked by now.
        expect(await valueOf(await world.call("hello", "next"))).toBe("hello next");
        expect(await runsOf(file)).toBe(1);
        expect(server.outcomes).toHaveLength(outcomes + 2);
      },
      SLOW_MS,
    );
  },
);

import { describe } from "vitest";
import { describeClaiming } from "./job-source/claiming.ts";
import { describeCommands } from "./job-source/commands.ts";
import { describeDeadLetters } from "./job-source/dead-letters.ts";
import { describeEnding } from "./job-source/ending.ts";
import { describeFleet } from "./job-source/fleet.ts";
import { describeLeases } from "./job-source/leases.ts";
import type { OpenQueueWorld } from "./job-source/world.ts";

/** What every source of jobs, and every board of hosts, promises. Each test gets a world of its own. */
export function describeJobSource(name: string, open: OpenQueueWorld): void {
  describe(`job source: ${name}`, () => {
    describeClaiming(open);
    describeLeases(open);
    describeEnding(open);
    describeDeadLetters(open);
    describeCommands(open);
    describeFleet(open);
  });
}

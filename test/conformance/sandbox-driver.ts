import { describe } from "vitest";
import { testEnding } from "./sandbox-driver/ending.ts";
import { testFreezing } from "./sandbox-driver/freezing.ts";
import type { SandboxDriverHarness } from "./sandbox-driver/harness.ts";
import { testImages } from "./sandbox-driver/images.ts";
import { testAdoption, testLeftovers, testStrangers } from "./sandbox-driver/leftovers.ts";
import { useScene } from "./sandbox-driver/scene.ts";
import { testStartFailures, testStarting } from "./sandbox-driver/starting.ts";
import { testWatching } from "./sandbox-driver/watching.ts";

/**
 * The suite that every `SandboxDriver` passes. A driver is done when it passes on a real host.
 *
 * @param openHarness opens a driver with an owner of its own; called several times, one after the other.
 */
export function describeSandboxDriver(name: string, openHarness: () => Promise<SandboxDriverHarness>): void {
  describe(`the ${name} driver`, () => {
    describe("images", () => testImages(useScene(openHarness)));
    describe("starting", () => testStarting(useScene(openHarness)));
    describe("failing to start", () => testStartFailures(useScene(openHarness)));
    describe("ending", () => testEnding(useScene(openHarness)));
    describe("freezing", () => testFreezing(useScene(openHarness)));
    describe("watching", () => testWatching(useScene(openHarness)));
    describe("leftovers", () => testLeftovers(openHarness));
    describe("adoption", () => testAdoption(openHarness));
    describe("strangers", () => testStrangers(openHarness));
  });
}

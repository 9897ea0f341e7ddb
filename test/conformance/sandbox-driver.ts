import { describe } from "vitest";
import { testEnding } from "./sandbox-driver/ending.ts";
import { testFreezing } from "./sandbox-driver/freezing.ts";
import type { SandboxDriverHarness } from "./sandbox-driver/harness.ts";
import { testImages } from "./sandbox-driver/images.ts";
import { testJobStartFailures, testSharedDir } from "./sandbox-driver/job-failures.ts";
import {
  testEndedJobAdoption,
  testJobAdoption,
  testJobReaping,
  testJobStrangers,
  testJobsAmongCalls,
} from "./sandbox-driver/job-leftovers.ts";
import { useJobScene } from "./sandbox-driver/job-scene.ts";
import { testJobEnds, testJobStopping, testJobSurroundings, testJobWatching } from "./sandbox-driver/jobs.ts";
import { testAdoption, testLeftovers, testStrangers } from "./sandbox-driver/leftovers.ts";
import { useScene } from "./sandbox-driver/scene.ts";
import { testStartFailures, testStarting } from "./sandbox-driver/starting.ts";
import { testWatching } from "./sandbox-driver/watching.ts";
import { useWorkerScene } from "./sandbox-driver/worker-scene.ts";
import { testWorkerLeftovers, testWorkerStartFailures, testWorkers } from "./sandbox-driver/workers.ts";

/**
 * The jobs' half of it.
 *
 * @param openHarness as for {@link describeSandboxDriver}.
 */
export function describeJobDriver(name: string, openHarness: () => Promise<SandboxDriverHarness>): void {
  describe(`jobs of the ${name} driver`, () => {
    describe("ends", () => testJobEnds(useJobScene(openHarness)));
    describe("surroundings", () => testJobSurroundings(useJobScene(openHarness)));
    describe("watching", () => testJobWatching(useJobScene(openHarness)));
    describe("stopping", () => testJobStopping(useJobScene(openHarness)));
    describe("failing to start", () => testJobStartFailures(useJobScene(openHarness)));
    describe("the shared folder", () => testSharedDir(useJobScene(openHarness)));
    describe("adoption", () => testJobAdoption(openHarness));
    describe("adoption after the end", () => testEndedJobAdoption(openHarness));
    describe("reaping", () => testJobReaping(openHarness));
    describe("jobs and calls", () => testJobsAmongCalls(openHarness));
    describe("strangers", () => testJobStrangers(openHarness));
  });
}

/**
 * The workers' part of it.
 *
 * @param openHarness as for {@link describeSandboxDriver}.
 */
export function describeWorkerDriver(name: string, openHarness: () => Promise<SandboxDriverHarness>): void {
  describe(`workers of the ${name} driver`, () => {
    describe("serving and ending", () => testWorkers(useWorkerScene(openHarness)));
    describe("failing to start", () => testWorkerStartFailures(useWorkerScene(openHarness)));
    describe("leftovers", () => testWorkerLeftovers(openHarness));
  });
}

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

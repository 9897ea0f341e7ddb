import { spawnSync } from "node:child_process";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openBrowser, whyNoBrowser } from "../support/browser.ts";
import { Caller } from "../support/caller.ts";
import type { FakeNvml } from "../support/fake-nvml.ts";
import { openFakeNvml } from "../support/fake-nvml.ts";
import {
  LOOKS,
  misfits,
  motions,
  screenPath,
  seriousFaults,
  untilSays,
  visit,
} from "../support/page-faults.ts";
import { poll } from "../support/poll.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

const hasGcc = spawnSync("gcc", ["--version"]).status === 0;
const reason = whyNoBrowser() ?? (hasGcc ? undefined : "gcc is not installed");
/** As long as registries have them. */
const LONG = "registry.example.org/department-of-fluid-mechanics/openfoam-solvers/simple-foam:2026.11.21-rc1";
const JOB = "3f0c9a1b-7b0e-4b4e-a1de-0b6b6a1f2c3d";

/** The page of a host on the process driver that shares a queue and has the cards of a stand-in (`fake-nvml.ts`). */
describe.skipIf(reason !== undefined)(
  `the looks of the page${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    let world: StreamWorld;
    let nvml: FakeNvml;
    let host: Daemon;
    let caller: Caller;
    let browser: Browser;

    beforeAll(async () => {
      [world, nvml, browser] = await Promise.all([StreamWorld.open(), openFakeNvml(), openBrowser()]);
      for (const [i, id] of [LONG, "sim/mesh", "sim/render"].entries()) {
        const folder = join(world.folder, "tasks", `server${i}`);
        await mkdir(folder);
        await cp(new URL("../support/tasks/obeys.mjs", import.meta.url), join(folder, "obeys.mjs"));
        // More memory than the calls below give it, so that there is a remark.
        const task = { id, command: ["node", "obeys.mjs"], resources: { mem: 512 } };
        await writeFile(join(folder, "task.json"), JSON.stringify(task));
      }
      host = await world.startHost("workshop-1", "has_gpu: true\ngpus: {poll_ms: 200}\ncpu: 2\nmem: 1024\n", {
        env: {
          LD_LIBRARY_PATH: nvml.folder,
          // All that is on the page stays there until it was looked at in each width and colour.
          ...{ HEARTH_STREAM_LEASE_S: "60", HEARTH_TASKS_QUEUE_TIMEOUT_S: "600", HEARTH_TIMEOUT: "60" },
        },
      });
      caller = new Caller(host.baseUrl);
    }, 180_000);
    afterAll(async () => {
      await browser.close();
      await world[Symbol.asyncDispose]();
      await nvml[Symbol.asyncDispose]();
    }, 180_000);

    /** A picture for each width and colour, in which nothing is cut off, out of place or out of reach. */
    async function look(name: string, untilThere: (page: Page) => Promise<void>): Promise<void> {
      for (const [width, colorScheme] of LOOKS) {
        const page = await browser.newPage({
          ...{ viewport: { width, height: 900 }, colorScheme, reducedMotion: "reduce" as const },
        });
        page.setDefaultTimeout(60_000);
        await visit(page, `${host.monitorUrl}/`);
        await untilSays(page, "Running");
        await untilThere(page);
        await page.screenshot({ path: screenPath(`${name}-${width}-${colorScheme}`), fullPage: true });
        expect(await misfits(page)).toEqual([]);
        expect(await seriousFaults(page)).toEqual([]);
        expect(await motions(page)).toEqual([]);
        await page.close();
      }
    }

    async function call(image: string, script: string, more: string): Promise<unknown> {
      return await caller.send("POST", `/v1/calls?image=${encodeURIComponent(image)}&mem=64&${more}`, script);
    }

    const offer = (page: Page) => page.getByRole("region", { name: "This host" });

    test("V: a host on which nothing runs", async () => {
      await look("quiet", async (page) => {
        await page.locator(".status span", { hasText: "0 calls under way, none waiting." }).waitFor();
        await page.getByText("No task is warm").waitFor();
        await offer(page).getByText("0 NVIDIA A100-SXM4-80GB free").waitFor();
        await page.getByRole("region", { name: "Fleet", exact: true }).getByText("workshop-1").waitFor();
      });
    }, 300_000);

    test("V: what moves on the page stands still for who would rather have less motion", async () => {
      for (const reducedMotion of ["no-preference", "reduce"] as const) {
        const page = await browser.newPage({ reducedMotion });
        page.setDefaultTimeout(60_000);
        await visit(page, `${host.monitorUrl}/`);
        await untilSays(page, "Running");
        await page.locator(".books .bar i").first().waitFor({ state: "attached" });
        const moving = await motions(page);
        // Else nothing would be told by the other half.
        if (reducedMotion === "no-preference") expect(moving.length).toBeGreaterThan(0);
        else expect(moving).toEqual([]);
        await page.close();
      }
    }, 300_000);

    test("V: a host with all hands full: names and reasons of any length stay in their places", async () => {
      nvml.set(0, { computePercent: 97, usedMib: 61_000 });
      nvml.set(2, { computePercent: 55, usedMib: 9_000, pids: [1] });
      nvml.set(3, { code: 15 });
      await call("sim/mesh", "return 'x'", "cpu=0.2");
      await call("sim/mesh", "process.exit(3)", "cpu=0.2");
      await call("sim/mesh", "return 'x'", "cpu=0.2");
      await call(`no.such/${LONG}`, "", "cpu=1");
      await call("sim/mesh", "", "cpu=0.1&isolation=microVM");
      await poll("a card is lost", async () => {
        const text = JSON.stringify(await caller.get("/v1/host"));
        return text.includes("GPU is lost") || text;
      });
      await call(LONG, "", "gpus=9&cpu=0.1");
      const held = [call(LONG, "await sleep(600000)", "gpus=1&cpu=0.5")];
      await world.submit("test.talk", { id: JOB });
      await world.waitFor(JOB, "TaskStarted");
      held.push(call("sim/render", "await sleep(600000)", "cpu=1"));
      await poll("both run", async () => {
        const text = JSON.stringify(await caller.get("/v1/sandboxes"));
        return text.split('"slotsUsed":1').length === 3 || text;
      });
      held.push(call("sim/render", "", "cpu=2"), call(LONG, "", "gpus=2&cpu=0.1"));
      await look("busy", async (page) => {
        await page
          .locator(".status span", { hasText: "2 calls and 1 job under way, 2 calls waiting." })
          .waitFor();
        for (const name of ["Books", "This host"]) {
          const card = page.getByRole("region", { name, exact: true });
          await card.getByText("Disk", { exact: true }).waitFor();
        }
        for (const said of [
          "0 NVIDIA A100-SXM4-80GB left alone",
          "1 NVIDIA A100-SXM4-80GB held by one task",
          "3 Tesla T4 cannot be used",
        ])
          await offer(page).getByText(said).waitFor();
        await page.locator(".errors li", { hasText: "card 3 cannot be used" }).waitFor();
        await page.locator(".queue li", { hasText: "programs outside of this executor" }).waitFor();
        await page.getByRole("row", { name: "its task.json asks for 512" }).first().waitFor();
        const job = page.getByRole("region", { name: "Jobs", exact: true }).getByRole("row", { name: JOB });
        await job.locator('[data-label="State"]', { hasText: "running" }).waitFor();
        await page.getByRole("region", { name: "Runs" }).getByText("failed ISOLATION_UNAVAILABLE").waitFor();
      });
      // They end with the host.
      await Promise.allSettled([world[Symbol.asyncDispose](), ...held]);
    }, 300_000);
  },
);

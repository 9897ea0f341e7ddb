import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openBrowser, whyNoBrowser } from "../support/browser.ts";
import { misfits, screenPath, seriousFaults, untilSays, untilShown, visit } from "../support/page-faults.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

const reason = whyNoBrowser();

describe.skipIf(reason !== undefined)(`jobs on the page${reason === undefined ? "" : ` (${reason})`}`, () => {
  let world: StreamWorld;
  let host: Daemon;
  let browser: Browser;

  beforeAll(async () => {
    [world, browser] = await Promise.all([StreamWorld.open(), openBrowser()]);
    // A machine that stands still for some seconds must not cost the host its job.
    host = await world.startHost("one", "", { env: { HEARTH_STREAM_LEASE_S: "60" } });
  }, 180_000);
  afterAll(async () => {
    await browser.close();
    await world[Symbol.asyncDispose]();
  }, 180_000);

  async function open(width: number, colorScheme: "light" | "dark"): Promise<Page> {
    const page = await browser.newPage({
      ...{ viewport: { width, height: 900 }, colorScheme, reducedMotion: "reduce" as const },
    });
    page.setDefaultTimeout(60_000);
    await visit(page, `${host.monitorUrl}/`);
    return page;
  }

  const cardOf = (page: Page) => page.getByRole("region", { name: "Jobs", exact: true });

  test("V: an open page shows a job that is taken meanwhile, as it stands, and its run once it has ended", async () => {
    const page = await open(1280, "light");
    await untilSays(page, "Running");
    expect(await cardOf(page).count()).toBe(0);
    const id = await world.submit("test.talk");
    const row = cardOf(page).getByRole("row").filter({ hasText: id });
    await untilShown(row.locator('[data-label="State"]', { hasText: "running" }));
    for (const [label, text] of [
      ["Task", "shell"],
      ["Door", "stream"],
      ["Class", "process"],
      ["Memory", "64 MiB"],
    ] as const)
      expect(await row.locator(`[data-label="${label}"]`).textContent()).toContain(text);
    await page.screenshot({ path: screenPath("jobs-1280-light"), fullPage: true });
    expect(await seriousFaults(page)).toEqual([]);
    for (const [width, scheme] of [
      [1280, "dark"],
      [390, "light"],
      [390, "dark"],
    ] as const) {
      const other = await open(width, scheme);
      await untilShown(cardOf(other).getByRole("row").filter({ hasText: id }));
      expect(await misfits(other)).toEqual([]);
      await other.screenshot({ path: screenPath(`jobs-${width}-${scheme}`), fullPage: true });
      expect(await seriousFaults(other)).toEqual([]);
      await other.close();
    }
    await writeFile(join(host.stateDir, "jobs", id, "go"), "");
    expect(await world.ending(id)).toMatchObject({ json: { status: "success" } });
    await cardOf(page).waitFor({ state: "detached" });
    const runs = page.getByRole("region", { name: "Runs" });
    await untilShown(runs.getByRole("row").filter({ hasText: "shell" }));
    await page.close();
  }, 180_000);
});

import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page, Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openBrowser, whyNoBrowser } from "../support/browser.ts";
import { Caller } from "../support/caller.ts";
import { untilSays, untilShown, visit } from "../support/page-faults.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

const reason = whyNoBrowser();

/**
 * A browser breaks off what it is just connecting when an interface of its machine comes or goes; on the daemon's own host each sandbox
 * with a network does that. Here the requests are broken off by hand, as the page cannot tell the difference.
 */
describe.skipIf(reason !== undefined)(
  `the page on a network that changes${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    let world: StreamWorld;
    let host: Daemon;
    let caller: Caller;
    let browser: Browser;

    beforeAll(async () => {
      [world, browser] = await Promise.all([StreamWorld.open(), openBrowser()]);
      const folder = join(world.folder, "tasks/server");
      await mkdir(folder);
      await cp(new URL("../support/tasks/obeys.mjs", import.meta.url), join(folder, "obeys.mjs"));
      const task = { id: "sim/mesh", command: ["node", "obeys.mjs"] };
      await writeFile(join(folder, "task.json"), JSON.stringify(task));
      host = await world.startHost("one", "timeout: 600\n");
      caller = new Caller(host.baseUrl);
    }, 180_000);
    afterAll(async () => {
      await browser.close();
      await world[Symbol.asyncDispose]();
    }, 180_000);

    async function blankPage(): Promise<Page> {
      const page = await browser.newPage();
      page.setDefaultTimeout(60_000);
      return page;
    }

    /** Has the first requests of each method and path broken off, before or after the daemon has done what they ask for. */
    async function breakOff(page: Page, times: number, when: "before" | "after"): Promise<void> {
      const broken = new Map<string, number>();
      await page.route("**/v1/**", async (route: Route) => {
        const key = `${route.request().method()} ${new URL(route.request().url()).pathname}`;
        const before = broken.get(key) ?? 0;
        broken.set(key, before + 1);
        if (before >= times) {
          await route.continue();
          return;
        }
        if (when === "after" && route.request().method() !== "GET") await route.fetch();
        await route.abort("failed");
      });
    }

    const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });

    async function press(page: Page, name: string): Promise<void> {
      await button(page, name).click();
      await page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
    }

    test("V: the page is one answer: it asks for nothing else of its own that could be missed", async () => {
      const page = await blankPage();
      const asked = new Set<string>();
      page.on("request", (request) => asked.add(new URL(request.url()).pathname));
      await visit(page, `${host.monitorUrl}/`);
      await untilSays(page, "Running");
      // What a picture is asked for is no path.
      const paths = [...asked].filter((path) => !path.startsWith("image/svg"));
      expect(paths.filter((path) => !path.startsWith("/v1/"))).toEqual(["/"]);
      await page.close();
    });

    test("V: what is broken off is asked for again before the page says that anything is wrong", async () => {
      const page = await blankPage();
      await breakOff(page, 2, "before");
      await page.addInitScript(`
        globalThis.said = [];
        new MutationObserver(() => {
          const text = document.querySelector(".status b")?.textContent;
          if (text && said.at(-1) !== text) said.push(text);
        }).observe(document, { subtree: true, childList: true, characterData: true });`);
      await visit(page, `${host.monitorUrl}/`);
      await untilSays(page, "Running");
      const fleet = page.getByRole("region", { name: "Fleet", exact: true });
      await untilShown(fleet.getByRole("row").filter({ hasText: "this host" }));
      const said = await page.evaluate<string[]>("said");
      expect(said.at(-1)).toBe("Running");
      expect(said).not.toContain("Daemon gone");
      await page.close();
    });

    test("V: what an operator clicks is done once, however its answer got lost, and told as done", async () => {
      const page = await blankPage();
      await visit(page, `${host.monitorUrl}/`);
      await untilSays(page, "Running");
      await breakOff(page, 1, "after");
      expect((await caller.call("sim/mesh", "return 'x'")).text).toBe("x");
      const row = page.getByRole("row").filter({ hasText: "sim/mesh" }).filter({ hasText: "Evict" });
      // A sample may show the call as it ran; then what is asked before it is evicted is another thing.
      await untilShown(row.locator('[data-label="Slots"]', { hasText: "0/" }));
      await row.getByRole("button", { name: /Evict/ }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Evict", exact: true }).click();
      await untilShown(page.getByText("sim/mesh is gone."));
      await press(page, "Pause");
      await untilShown(page.getByText("The executor is paused."));
      await press(page, "Unpause");
      await untilShown(page.getByText("The executor is running."));
      await page.close();
    });

    test("V: a chart stands while its figures move", async () => {
      const page = await blankPage();
      await visit(page, `${host.monitorUrl}/`);
      await untilSays(page, "Running");
      const plot = page.getByRole("region", { name: "CPU", exact: true }).locator("canvas").first();
      await plot.evaluate((canvas: unknown) => {
        Object.assign(canvas as object, { isTheSame: true });
      });
      // A sample comes each second, and each moves every chart.
      await page.waitForTimeout(3500);
      expect(await plot.evaluate((canvas: unknown) => (canvas as { isTheSame?: boolean }).isTheSame)).toBe(
        true,
      );
      await page.close();
    });
  },
);

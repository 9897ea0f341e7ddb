import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Locator, Page, Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openBrowser, whyNoBrowser } from "../support/browser.ts";
import { Caller } from "../support/caller.ts";
import { untilSays, untilShown, visit } from "../support/page-faults.ts";
import { poll } from "../support/poll.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";
import { unlessStill } from "../support/unless-still.ts";

const reason = whyNoBrowser();

/** What is used here of a browser's own. */
interface Canvas {
  readonly width: number;
  readonly height: number;
  getContext(kind: "2d"): {
    getImageData(...area: readonly number[]): { readonly data: Uint8ClampedArray };
  };
}

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

    /**
     * Has the first request of each method and path broken off, before or after the daemon has done what it orders.
     *
     * @returns which orders the daemon has done although nobody heard of it.
     */
    async function breakOff(page: Page, when: "before" | "after"): Promise<readonly string[]> {
      const broken = new Set<string>();
      const done: string[] = [];
      await page.route("**/v1/**", async (route: Route) => {
        const key = `${route.request().method()} ${new URL(route.request().url()).pathname}`;
        if (broken.has(key)) {
          await route.continue();
          return;
        }
        broken.add(key);
        const isDone = when === "after" && !key.startsWith("GET");
        const answer = isDone ? route.fetch().catch(() => undefined) : undefined;
        // An order that was out for longer is not sent again.
        if (answer !== undefined) await Promise.race([answer, page.waitForTimeout(300)]);
        await route.abort("failed");
        if ((await answer)?.ok() === true) done.push(key);
      });
      return done;
    }

    const plotOf = (page: Page, title: string) =>
      page.getByRole("region", { name: title, exact: true }).locator("canvas");

    const drawn = async (plot: Locator): Promise<string> =>
      await plot.evaluate((canvas: unknown) => (canvas as { toDataURL(): string }).toDataURL());

    /** The colour that most of it is drawn in: of a chart without calls, that of its grid. */
    async function gridColour(page: Page): Promise<string> {
      return await plotOf(page, "Calls per second").evaluate((element: unknown) => {
        const canvas = element as Canvas;
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const counts = new Map<number, number>();
        for (const one of new Uint32Array(data.buffer))
          if (one !== 0) counts.set(one, (counts.get(one) ?? 0) + 1);
        const [most] = [...counts].sort((one, other) => other[1] - one[1]);
        return most?.[0].toString(16) ?? "none";
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
      const said = await unlessStill(async () => {
        const page = await blankPage();
        await breakOff(page, "before");
        await page.addInitScript(`
          Object.assign(globalThis, { said: [], stillMs: 0 });
          new MutationObserver(() => {
            const text = document.querySelector(".status b")?.textContent;
            if (text && said.at(-1) !== text) said.push(text);
          }).observe(document, { subtree: true, childList: true, characterData: true });
          let lastMs = Date.now();
          setInterval(() => {
            stillMs = Math.max(stillMs, Date.now() - lastMs);
            lastMs = Date.now();
          }, 100);`);
        await visit(page, `${host.monitorUrl}/`);
        await untilSays(page, "Running");
        const fleet = page.getByRole("region", { name: "Fleet", exact: true });
        await untilShown(fleet.getByRole("row").filter({ hasText: "this host" }));
        const found = await page.evaluate<{ said: string[]; stillMs: number }>("({ said, stillMs })");
        await page.close();
        // A page that stood still for so long does not know what it missed.
        return found.stillMs > 2000 ? undefined : found.said;
      });
      expect(said.at(-1)).toBe("Running");
      expect(said).not.toContain("Daemon gone");
    });

    test("V: what an operator clicks is told as done, although the first answer got lost and it was done twice", async () => {
      const page = await blankPage();
      await visit(page, `${host.monitorUrl}/`);
      await untilSays(page, "Running");
      const done = await breakOff(page, "after");
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
      await poll("the first of each was done as well", () => done.length === 3 || done.join());
      await page.close();
    });

    test("V: a chart stands while its figures move", async () => {
      const page = await blankPage();
      await visit(page, `${host.monitorUrl}/`);
      await untilSays(page, "Running");
      const plot = plotOf(page, "CPU");
      await plot.evaluate((canvas: unknown) => {
        Object.assign(canvas as object, { isTheSame: true });
      });
      const first = await drawn(plot);
      await poll("a sample is drawn", async () => (await drawn(plot)) !== first || "not yet");
      const second = await drawn(plot);
      await poll("another one is", async () => (await drawn(plot)) !== second || "not yet");
      expect(await plot.evaluate((canvas: unknown) => (canvas as { isTheSame?: boolean }).isTheSame)).toBe(
        true,
      );
      await page.close();
    });

    test("V: a chart takes the colours of the theme as soon as that is changed", async () => {
      const page = await blankPage();
      await page.emulateMedia({ colorScheme: "light" });
      await visit(page, `${host.monitorUrl}/`);
      await untilSays(page, "Running");
      const other = async (than: string): Promise<string> => {
        let colour = "none";
        await poll("it is drawn in another colour", async () => {
          colour = await gridColour(page);
          return (colour !== "none" && colour !== than) || colour;
        });
        return colour;
      };
      const light = await other("none");
      await page.emulateMedia({ colorScheme: "dark" });
      const dark = await other(light);
      await visit(page, `${host.monitorUrl}/`);
      await untilSays(page, "Running");
      expect(await other("none")).toBe(dark);
      await page.close();
    });
  },
);

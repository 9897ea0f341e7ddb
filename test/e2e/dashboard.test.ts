import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page, Response } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Receipt } from "../../src/core/index.ts";
import { ExecutorError } from "../../src/core/index.ts";
import { openDashboard } from "../../src/doors/monitor/dashboard.ts";
import { openMonitorDoor } from "../../src/doors/monitor/open-monitor-door.ts";
import { verifyReceipt } from "../../src/std/receipts/index.ts";
import { silentLog } from "../../src/telemetry/index.ts";
import { openBrowser, whyNoBrowser } from "../support/browser.ts";
import { freshName } from "../support/fresh-name.ts";
import { call, sandboxes } from "../support/legacy-call.ts";
import type { HostedDaemon, TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { LOOKS, misfits, screenPath, seriousFaults, untilSays, visit } from "../support/page-faults.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import { SLACK } from "../support/slack.ts";
import { freePort } from "../support/start-daemon.ts";

const reason = whyNoBrowser() ?? whyNoEngine();
const WISH = { resource: { cpu: 0.5, mem: 64 } };

describe.skipIf(reason !== undefined)(`the dashboard${reason === undefined ? "" : ` (${reason})`}`, () => {
  let host: TestHost;
  let browser: Browser;
  let stateDir: string;
  let daemon: HostedDaemon;
  let ports: { readonly http: number; readonly monitor: number };
  let page: Page;
  const complaints: string[] = [];
  const owner = freshName("dashboard");

  const start = async (): Promise<HostedDaemon> =>
    await host.start({
      stateDir,
      port: ports.http,
      // What is warm goes when a test has it go, however slow the machine is.
      config: "cpu: 2\nmem: 600\npause_wait_s: 2\ntimeout: 60\n",
      monitorPort: ports.monitor,
      env: { HEARTH_DOCKER_OWNER: owner },
    });
  const at = (): string => `http://127.0.0.1:${ports.monitor}/`;

  async function open(options: Parameters<Browser["newPage"]>[0] = {}): Promise<Page> {
    const fresh = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
    fresh.setDefaultTimeout(60_000);
    fresh.on("pageerror", (error) => complaints.push(error.message));
    fresh.on("request", (request) => {
      // No queue is shared here, so that nobody would know of a fleet.
      if (request.url().endsWith("/v1/fleet")) complaints.push(`asked for ${request.url()}`);
    });
    fresh.on("console", (message) => {
      // What a daemon answers, or that it does not, is the page's matter, and tested below.
      const isOfLoading = message.text().startsWith("Failed to load resource");
      if (message.type() === "error" && !isOfLoading) complaints.push(message.text());
    });
    const isFile = (url: string): boolean => !new URL(url).pathname.startsWith("/v1/");
    fresh.on("requestfailed", (request) => {
      const errorText = request.failure()?.errorText ?? "failed";
      // Of this machine's interfaces, see `visit`.
      const isMeant = ["net::ERR_NETWORK_CHANGED", "net::ERR_ABORTED"].includes(errorText);
      if (isFile(request.url()) && !isMeant) complaints.push(`${request.url()}: ${errorText}`);
    });
    fresh.on("response", (response) => {
      if (isFile(response.url()) && response.status() >= 400)
        complaints.push(`${response.url()}: ${response.status()}`);
    });
    await visit(fresh, at());
    expect(complaints).toEqual([]);
    return fresh;
  }

  const row = (image: string) =>
    page.getByRole("row").filter({ hasText: image }).filter({ hasText: "Evict" });

  beforeAll(async () => {
    stateDir = await mkdtemp(join(tmpdir(), "hearth-dashboard-"));
    ports = { http: await freePort(), monitor: await freePort() };
    [host, browser] = await Promise.all([openTestHost(), openBrowser()]);
    daemon = await start();
    page = await open();
  }, 180_000);
  afterAll(async () => {
    await browser.close();
    await daemon[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
    await rm(stateDir, { recursive: true, force: true });
  }, 180_000);

  test("V: an open page shows a call that was made meanwhile within two seconds", async () => {
    await untilSays(page, "Running");
    await page.getByText("No task is warm").waitFor();
    const answer = await call(daemon, host.task, "x", WISH);
    expect(answer.success).toBe(true);
    const sinceMs = performance.now();
    await row(host.task).waitFor({ timeout: 60_000 });
    await page.locator(".starts li", { hasText: host.task }).waitFor({ timeout: 60_000 });
    await page.getByRole("region", { name: "Runs" }).getByRole("row", { name: host.task }).waitFor();
    expect(performance.now() - sinceMs).toBeLessThan(2000 * SLACK);
    await poll("one call is counted", async () => {
      const calls = await row(host.task).locator('[data-label="Calls"]').textContent();
      return calls === "1" || String(calls);
    });

    const before = performance.now();
    await call(daemon, host.task, "y", WISH);
    await row(host.task).locator('[data-label="Calls"]', { hasText: "2" }).waitFor({ timeout: 60_000 });
    expect(performance.now() - before).toBeLessThan(2000 * SLACK);
  }, 180_000);

  test("V: a run opens with its receipt, which can be saved and proves itself", async () => {
    const runs = page.getByRole("region", { name: "Runs" });
    await runs
      .getByRole("button", { name: /^Receipt of run/ })
      .first()
      .click();
    const sheet = page.getByRole("dialog");
    await sheet.getByText("number").waitFor();
    for (const fact of ["Could have", "Used", "In and out", "Content"])
      await sheet.getByText(fact, { exact: true }).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      sheet.getByRole("button", { name: "Save receipt" }).click(),
    ]);
    const receipt = JSON.parse(readFileSync(await download.path(), "utf8")) as Receipt;
    expect(verifyReceipt(receipt)).toEqual([]);
    expect(download.suggestedFilename()).toBe(`receipt-${receipt.entry.id}.json`);
    await page.keyboard.press("Escape");
    await sheet.waitFor({ state: "hidden" });
  });

  test("V: what tasks may reach is shown with what holds them to it", async () => {
    const offer = page.getByRole("region", { name: "This host" });
    for (const policy of ["none", "internal"])
      await offer.getByText(`${policy} on offer`, { exact: true }).waitFor();
  });

  test("V: a link on somebody else's page leads here; that page cannot look inside", async () => {
    const elsewhere = createServer((_, response) => {
      response.setHeader("content-type", "text/html");
      response.end(`<a href="${at()}">the host</a><iframe src="${at()}"></iframe>`);
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
    const visitor = await browser.newPage();
    try {
      visitor.setDefaultTimeout(60_000);
      let framed: Response | null = null;
      // A frame that the browser broke off is not loaded again, see `visit`.
      for (let left = 5; framed === null && left > 0; left -= 1) {
        const answer = visitor
          .waitForResponse((response) => response.url() === at(), { timeout: 20_000 })
          .catch(() => null);
        // Another site than ours, by its name.
        await visit(visitor, `http://localhost:${(elsewhere.address() as AddressInfo).port}/`);
        framed = await answer;
      }
      expect(framed?.status()).toBe(403);
      await visitor.getByRole("link").click();
      await untilSays(visitor, "Running");
    } finally {
      await visitor.close();
      elsewhere.closeAllConnections();
      elsewhere.close();
    }
  });

  test("V: what a task prints can be read and searched on the page", async () => {
    await row(host.task).getByRole("button", { name: /Logs/ }).click();
    const output = page.getByRole("log");
    await output.getByText("obey begins").waitFor();
    await page.getByPlaceholder("Only lines with…").fill("meca");
    await poll("only lines with it are left", async () => {
      const text = (await output.textContent()) ?? "";
      return (text.includes("meca-init-done") && !text.includes("obey begins")) || text;
    });
    // The first one empties the search.
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  });

  test("V: what a task printed last can be read after it has died", async () => {
    const mortal = await host.taskCalled("mortal");
    const { sandboxId } = await call(daemon, mortal, "x", WISH);
    const [container] = (await host.containers(daemon)).filter(({ name }) => name.includes("mortal"));
    await host.docker.getContainer(container?.id ?? "").kill();
    await poll(
      "it is gone",
      async () => (await sandboxes(daemon)).every(({ id }) => id !== sandboxId) || "still there",
    );
    await page
      .locator(".happened li", { hasText: mortal })
      .getByRole("button", { name: "What it printed last" })
      .click();
    await page.getByRole("log").getByText("obey begins").waitFor();
    await page.getByText("The task has ended").waitFor();
    await page.getByRole("button", { name: "Close" }).click();
  });

  test("V: a call that cannot run at once stands there with its reason; one that fails, with its code", async () => {
    const other = await host.taskCalled("other");
    const held = call(daemon, host.task, "hold", { resource: { cpu: 1.5, mem: 64 } });
    held.catch(() => undefined);
    await poll(
      "the call runs",
      async () => (await sandboxes(daemon)).some(({ slotsUsed }) => slotsUsed === 1) || "not yet",
    );
    const waiting = call(daemon, other, "x", { resource: { cpu: 1, mem: 64 } });
    waiting.catch(() => undefined);
    const line = page.locator(".queue li", { hasText: other });
    await line.locator("p", { hasText: "hold the CPU" }).waitFor();
    const holding = (await host.containers(daemon)).filter(({ state }) => state === "running");
    for (const { id } of holding) await host.exec(id, "sh", "-c", ": > /tmp/released").catch(() => "");
    await Promise.all([held, waiting]);
    await page.getByText("Nothing waits").waitFor();

    await call(daemon, "no.such/image:1", "x", { resource: { cpu: 64 } });
    await page.locator(".errors code", { hasText: "RESOURCES_EXCEED_LIMIT" }).waitFor();
  });

  test("V: limits can be changed on the page; what is refused is said and changes nothing", async () => {
    await page.getByRole("button", { name: "Limits" }).click();
    await page.getByLabel("Calls that may wait").waitFor();
    expect(await page.getByRole("spinbutton").count()).toBe(6);
    await page.getByLabel("Cores for tasks").fill("-1");
    // The browser would keep it back; what the daemon says of it is what is wanted.
    await page.locator("dialog form").evaluate((form: unknown) => {
      (form as { noValidate: boolean }).noValidate = true;
    });
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").textContent()).toContain("cpu");
    await page.getByLabel("Cores for tasks").fill("1.5");
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByText("The limits are in force").waitFor();
    await page.locator(".books dd", { hasText: "of 1.5" }).waitFor();
    await page.locator(".happened li", { hasText: "cpu is now 1.5" }).waitFor();
  });

  test("V: eviction by click asks first, and then the task is gone", async () => {
    await call(daemon, host.task, "x", WISH);
    // A sample may show the call as it ran; then what is asked before it is evicted is another thing.
    await row(host.task).first().locator('[data-label="Slots"]', { hasText: "0/" }).waitFor();
    await row(host.task).first().getByRole("button", { name: /Evict/ }).click();
    const asked = page.getByRole("dialog");
    await asked.getByRole("button", { name: "Cancel" }).click();
    expect(await row(host.task).count()).toBeGreaterThan(0);
    const before = (await sandboxes(daemon)).length;
    await row(host.task).first().getByRole("button", { name: /Evict/ }).click();
    await asked.getByRole("button", { name: "Evict", exact: true }).click();
    await poll("one is gone", async () => (await sandboxes(daemon)).length === before - 1 || "still there");
    await page.locator(".happened li", { hasText: "an operator asked" }).waitFor();
  });

  test("V: pause and unpause by click: a call is turned away meanwhile, and taken again", async () => {
    const press = async (name: string): Promise<void> => {
      await page.getByRole("button", { name, exact: true }).click();
      await page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
    };
    await press("Pause");
    await untilSays(page, "Paused");
    expect((await call(daemon, host.task, "x", WISH)).msg).toBe("the executor is paused");
    await press("Unpause");
    await untilSays(page, "Running");
    expect(await call(daemon, host.task, "x", WISH)).toMatchObject({ success: true, msg: "x" });
  });

  test("V: pause and unpause by keyboard alone, with a focus that is seen", async () => {
    const button = page.getByRole("button", { name: "Pause", exact: true });
    await button.focus();
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Pause");
    expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByRole("button", { name: "Pause", exact: true }).press("Enter");
    await untilSays(page, "Paused");
    expect((await call(daemon, host.task, "x", WISH)).msg).toBe("the executor is paused");
    await page.getByRole("button", { name: "Unpause" }).press("Enter");
    await page.getByRole("dialog").getByRole("button", { name: "Unpause" }).press("Enter");
    await untilSays(page, "Running");
    expect((await call(daemon, host.task, "x", WISH)).success).toBe(true);
  });

  test.each(LOOKS)(
    "V: %d pixels wide and %s: nothing overflows, and axe finds no serious fault",
    async (width, scheme) => {
      const viewport = { width, height: width === 390 ? 844 : 900 };
      const fresh = await open({ viewport, colorScheme: scheme, reducedMotion: "reduce" });
      await untilSays(fresh, "Running");
      for (let i = 0; i < 5; i += 1) await call(daemon, host.task, "x", WISH);
      await row(host.task).first().waitFor();
      await fresh.screenshot({ path: screenPath(`page-${width}-${scheme}`), fullPage: true });
      expect(await misfits(fresh)).toEqual([]);
      // The longest outcome that there is: no cell is pushed out of its card.
      await fresh.evaluate(`
        for (const one of document.querySelectorAll('td[data-label="Outcome"] .tier'))
          one.append(" cancelled CALL_CANCELLED")`);
      expect(await misfits(fresh)).toEqual([]);
      expect(await seriousFaults(fresh)).toEqual([]);
      await fresh
        .getByRole("button", { name: /^Receipt of run/ })
        .first()
        .click();
      await fresh.getByRole("button", { name: "Save receipt" }).waitFor();
      await fresh.screenshot({ path: screenPath(`receipt-${width}-${scheme}`) });
      expect(await seriousFaults(fresh)).toEqual([]);
      await fresh.keyboard.press("Escape");
      await fresh.getByRole("button", { name: "Limits" }).click();
      await fresh.getByLabel("Cores for tasks").waitFor();
      await fresh.screenshot({ path: screenPath(`limits-${width}-${scheme}`) });
      expect(await seriousFaults(fresh)).toEqual([]);
      await fresh.keyboard.press("Escape");
      await fresh.getByRole("button", { name: /Logs/ }).first().click();
      await fresh.getByRole("log").getByText("obey begins").waitFor();
      await fresh.screenshot({ path: screenPath(`logs-${width}-${scheme}`) });
      expect(await seriousFaults(fresh)).toEqual([]);
      await fresh.close();
    },
    300_000,
  );

  test("V: with the engine stopped the page says so, and by itself that it is back", async () => {
    await host.engine.stop();
    await untilSays(page, "Engine gone");
    for (const [width, colorScheme] of LOOKS) {
      const fresh = await open({ viewport: { width, height: 900 }, colorScheme });
      await untilSays(fresh, "Engine gone");
      await fresh.screenshot({ path: screenPath(`engine-gone-${width}-${colorScheme}`) });
      // The reason can be read to its end.
      expect(await misfits(fresh)).toEqual([]);
      await fresh.close();
    }
    await host.engine.start();
    await untilSays(page, "Running");
  }, 180_000);

  test("V: with the daemon stopped the page says so, offers nothing that cannot work, and recovers when it is back", async () => {
    await daemon[Symbol.asyncDispose]();
    await untilSays(page, "Daemon gone");
    await page.screenshot({ path: screenPath("daemon-gone") });
    expect(await page.getByRole("button", { name: "Pause", exact: true }).getAttribute("aria-disabled")).toBe(
      "true",
    );
    // As the daemon's own does before there is more to tell, which a start is over too soon to look at.
    const door = await openMonitorDoor({
      ...{ host: "127.0.0.1", port: ports.monitor, log: silentLog },
      dashboard: openDashboard(fileURLToPath(new URL("../../dist/dashboard/", import.meta.url))),
    });
    await untilSays(page, "Starting");
    const early = await open();
    await untilSays(early, "Starting");
    // As the daemon's own does while it closes, which is over too soon as well.
    door.serveApi(() => {
      throw new ExecutorError("DRAINING");
    });
    await untilSays(page, "Stopping");
    await untilSays(early, "Stopping");
    await door[Symbol.asyncDispose]();
    daemon = await start();
    await untilSays(early, "Running");
    await early.close();
    await untilSays(page, "Running");
    await call(daemon, host.task, "x", WISH);
    await row(host.task).first().waitFor();
  }, 180_000);

  test("V: where tokens are set up the page wants one, says what it may not do, and keeps it for its tab", async () => {
    const token = (name: string, scopes: string): string =>
      `{name: ${name}, token: ${name}-token-0123456789abcdef, scopes: [${scopes}]}`;
    await daemon[Symbol.asyncDispose]();
    daemon = await host.start({
      stateDir,
      port: ports.http,
      monitorPort: ports.monitor,
      config: `http: {tokens: [${token("reader", "read")}, ${token("admin", "read, control")}]}`,
      waits: false,
    });
    await poll(
      "the page is served",
      async () => (await fetch(at()).catch(() => undefined))?.ok === true || "no",
    );
    const fresh = await open();
    await untilSays(fresh, "Not let in");
    const give = async (text: string): Promise<void> => {
      await fresh.getByRole("button", { name: "Token" }).click();
      await fresh.locator('input[type="password"]').fill(text);
      await fresh.getByRole("button", { name: "Use", exact: true }).click();
    };
    await give("reader-token-0123456789abcdef");
    await untilSays(fresh, "Running");
    const pause = fresh.getByRole("button", { name: "Pause", exact: true });
    expect(await pause.getAttribute("aria-disabled")).toBe("true");
    expect(await pause.getAttribute("title")).toContain("control");
    await give("admin-token-0123456789abcdef");
    await poll(
      "it may act",
      async () => (await pause.getAttribute("aria-disabled")) === "false" || "not yet",
    );
    expect(await fresh.evaluate("JSON.stringify(localStorage)")).not.toContain("token");
    await fresh.close();
  }, 180_000);

  test("V: nothing went wrong in the page itself, and nothing was kept from it by its own policy", () => {
    expect(complaints).toEqual([]);
  });
});

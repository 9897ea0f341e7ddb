import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Locator, Page } from "playwright-core";
import { poll } from "./poll.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const SCREENS = join(root, "out/screens");

/** Widths and colours that the page is looked at in. */
export const LOOKS = [
  [1280, "light"],
  [1280, "dark"],
  [390, "light"],
  [390, "dark"],
] as const;

interface Fault {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly html: string }[];
}

/** Where a picture of the page is kept, for whoever wants to see what it looked like. */
export function screenPath(name: string): string {
  mkdirSync(SCREENS, { recursive: true });
  return join(SCREENS, `${name}.png`);
}

/** What axe calls serious or critical, with the places where it found it. */
export async function seriousFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(readFileSync(join(root, "node_modules/axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<{ violations: Fault[] }> } }).axe.run(),
  );
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}

/**
 * Opens it. Chromium breaks off what it is just connecting when an interface of the machine comes or goes, as those of other tests' engines
 * do; it loads a page again by itself then, but tells whoever drives it of the first try. Its page about that comes a moment later, and
 * would break off a second try that did not wait for it.
 */
export async function visit(page: Page, url: string): Promise<void> {
  for (let left = 5; ; left -= 1) {
    try {
      await page.goto(url);
      return;
    } catch (error) {
      if (left === 0 || !/ERR_NETWORK_CHANGED|interrupted by another navigation/.test(String(error)))
        throw error;
    }
    await page.waitForURL(/^chrome-error:/, { waitUntil: "commit", timeout: 2000 }).catch(() => undefined); // there is none, or it has gone already
  }
}

/** Waits until it is to be seen; in vain, tells what the page shows instead. */
export async function untilShown(wanted: Locator): Promise<void> {
  try {
    await wanted.waitFor();
  } catch (error) {
    const shown = await wanted.page().locator("body").innerText();
    throw new Error(`${String(error)}\nthe page shows: ${shown.slice(0, 3000)}`, { cause: error });
  }
}

/** Waits until the line on top says this; in vain, tells what the page shows instead. */
export async function untilSays(page: Page, word: string): Promise<void> {
  await poll(`the page says ${word}`, async () => {
    const said = await page.locator(".status b").allInnerTexts();
    return (said.length === 1 && said[0] === word) || (await page.locator("body").innerText()).slice(0, 500);
  });
}

/** What is wider than the page, leaves its card to the right, or is cut off by an ellipsis, by its first words. */
export async function misfits(page: Page): Promise<readonly string[]> {
  return await page.evaluate(`(() => {
    const said = (what, one) => what + ": " + one.textContent.trim().slice(0, 60);
    const wide = document.documentElement.scrollWidth - innerWidth;
    const cut = [...document.querySelectorAll(".head *")].filter(
      (one) => getComputedStyle(one).textOverflow === "ellipsis" && one.scrollWidth > one.clientWidth);
    // What only readers of screens hear has no place on it.
    const out = [...document.querySelectorAll("main .card *")].filter((one) =>
      one.closest(".hidden, thead, .plot") === null &&
      one.getBoundingClientRect().right > one.closest(".card").getBoundingClientRect().right + 0.5);
    return [
      ...(wide > 0 ? ["the page is " + wide + " pixels too wide"] : []),
      ...cut.map((one) => said("cut off", one)),
      ...out.map((one) => said("outside of its card", one)),
    ];
  })()`);
}

/** What moves, or would as soon as it changes, by its first words; empty on a page that stands still. */
export async function motions(page: Page): Promise<readonly string[]> {
  return await page.evaluate(`(() => {
    // What takes no longer is no motion.
    const MOST_S = 0.001;
    const longest = (text) => Math.max(0, ...text.split(",").map((one) => Number.parseFloat(one) * (/[0-9]ms/.test(one) ? 0.001 : 1)));
    const named = (one) => one.tagName.toLowerCase() + (one.getAttribute("class") ? "." + one.getAttribute("class").trim().replaceAll(/\\s+/g, ".") : "");
    const running = document.getAnimations().filter((one) => one.playState === "running" || one.playState === "paused");
    const slow = [...document.querySelectorAll("*")].flatMap((one) =>
      [undefined, "::before", "::after", "::backdrop"].flatMap((pseudo) => {
        const { transitionDuration, transitionDelay, animationName, animationDuration, scrollBehavior } = getComputedStyle(one, pseudo);
        const moves =
          longest(transitionDuration) + longest(transitionDelay) > MOST_S ||
          (animationName !== "none" && longest(animationDuration) > MOST_S) ||
          (pseudo === undefined && scrollBehavior === "smooth");
        return moves ? [named(one) + (pseudo ?? "")] : [];
      }));
    return [...new Set([...running.map((one) => "an animation of " + named(one.effect.target)), ...slow])];
  })()`);
}

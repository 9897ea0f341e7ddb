import { existsSync } from "node:fs";
import type { Browser } from "playwright-core";
import { chromium } from "playwright-core";

const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** It talks to nobody but the page: no updates, no sync, no field trials. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Why no page can be looked at here; `undefined` if one can. */
export function whyNoBrowser(): string | undefined {
  return find() === undefined ? "chromium is not installed" : undefined;
}

/** Starts the system's Chromium without a window. Whoever opens it closes it. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = find();
  if (executablePath === undefined) throw new Error("chromium is not installed");
  return await chromium.launch({ executablePath, args: FLAGS });
}

function find(): string | undefined {
  return PROGRAMS.find((path) => existsSync(path));
}

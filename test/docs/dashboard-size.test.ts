import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** As `npm run build` leaves it; the check builds before it tests. */
const folder = fileURLToPath(new URL("../../dist/dashboard", import.meta.url));
const LIMIT_BYTES = 60_000;

test.skipIf(!existsSync(folder))(
  "the dashboard is one file of less than 60 kB as it travels, and asks nobody for anything before it can be seen",
  () => {
    expect(readdirSync(folder).sort()).toEqual(["index.html", "index.html.gz"]);
    expect(statSync(join(folder, "index.html.gz")).size).toBeLessThan(LIMIT_BYTES);
    const text = readFileSync(join(folder, "index.html"), "utf8");
    const addresses = [...text.matchAll(/\b(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}/gi)].map(
      ([address]) => address,
    );
    // The name of a name space, which nobody fetches.
    expect(addresses.filter((address) => address !== "http://www.w3.org")).toEqual([]);
    // Nor is anything of the daemon's own fetched before the page can be seen.
    expect(text.match(/<(?:script|link|img)[^>]+(?:src|href)="(?!data:)[^"]*"/gi)).toBeNull();
  },
);

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** As `npm run build` leaves it; the check builds before it tests. */
const folder = fileURLToPath(new URL("../../dist/dashboard", import.meta.url));
const LIMIT_BYTES = 60_000;

test.skipIf(!existsSync(folder))(
  "the dashboard travels in less than 60 kB, and asks nobody else for anything",
  () => {
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const zipped = names.filter((name) => name.endsWith(".gz"));
    expect(zipped.length).toBeGreaterThan(2);
    const bytes = zipped.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    expect(bytes).toBeLessThan(LIMIT_BYTES);
    for (const name of names.filter((one) => /\.(html|css|js)$/.test(one))) {
      const text = readFileSync(join(folder, name), "utf8");
      const addresses = [...text.matchAll(/\b(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}/gi)].map(
        ([address]) => address,
      );
      // The name of a name space, which nobody fetches.
      expect(addresses.filter((address) => address !== "http://www.w3.org")).toEqual([]);
    }
  },
);

import { expect, test } from "vitest";
import { checkOrigin } from "./origin.ts";

const HOST = { host: "127.0.0.1:7000" };
const VISIT = { ...HOST, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };

function isLetIn(headers: Record<string, string>, isPage: boolean): boolean {
  try {
    checkOrigin(headers, new Set(), { isPage });
    return true;
  } catch {
    return false;
  }
}

test.each(["cross-site", "same-site"])(
  "whoever follows a %s link to a page is let in, and to nothing else",
  (site) => {
    const headers = { ...VISIT, "sec-fetch-site": site };
    expect([isLetIn(headers, true), isLetIn(headers, false)]).toEqual([true, false]);
  },
);

test.each([
  ["a frame", { "sec-fetch-dest": "iframe" }],
  ["an embedded object", { "sec-fetch-dest": "object" }],
  ["a script's own request", { "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" }],
  ["an image", { "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" }],
  ["a form of another origin", { origin: "http://evil.example" }],
])("%s of another site does not get the page either", (_, more) => {
  expect(isLetIn({ ...VISIT, "sec-fetch-site": "cross-site", ...more }, true)).toBe(false);
});

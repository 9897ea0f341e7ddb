import { expect, test } from "vitest";
import { isOwnName } from "./host-check.ts";

test.each(["localhost", "LocalHost:8000", "127.0.0.1", "127.0.0.1:80", "[::1]:8000", "[::1]"])(
  "%s is ours",
  (host) => {
    expect(isOwnName(host)).toBe(true);
  },
);

test.each([
  "",
  "evil.example",
  "localhost.evil.example:8000",
  "127.0.0.1.evil.example",
  "localhost:",
  "[::1",
])("%s may be anybody's", (host) => {
  expect(isOwnName(host)).toBe(false);
});

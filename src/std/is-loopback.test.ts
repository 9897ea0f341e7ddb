import { expect, test } from "vitest";
import { isLoopback } from "./is-loopback.ts";

test.each(["localhost", "::1", "127.0.0.1", "127.1.2.3"])("%s is this host alone", (host) => {
  expect(isLoopback(host)).toBe(true);
});

test.each(["0.0.0.0", "::", "10.0.0.7", "127.example.org", "localhost.example.org", ""])(
  "%s may be reached from elsewhere",
  (host) => {
    expect(isLoopback(host)).toBe(false);
  },
);

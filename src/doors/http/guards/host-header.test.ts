import fc from "fast-check";
import { expect, test } from "vitest";
import { isKnownHost } from "./host-header.ts";

const NAMES = new Set(["hearth.example"]);

test("any address is known, with and without a port", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.ipV4(),
        fc.ipV6().map((ip) => `[${ip}]`),
      ),
      fc.option(fc.nat(65_535)),
      (ip, port) => {
        expect(isKnownHost(port === null ? ip : `${ip}:${port}`, NAMES)).toBe(true);
      },
    ),
  );
});

test("a name is known only if it is localhost or configured", () => {
  fc.assert(
    fc.property(fc.domain(), (name) => {
      expect(isKnownHost(name, NAMES)).toBe(name === "hearth.example" || name.endsWith(".localhost"));
    }),
  );
  for (const host of ["localhost", "LOCALHOST:1", "a.localhost", "hearth.example", "Hearth.Example.:80"]) {
    expect(isKnownHost(host, NAMES), host).toBe(true);
  }
});

test("what only looks like an address is a name", () => {
  for (const host of [
    "127.0.0.1.evil",
    "127.1",
    "0x7f.0.0.1",
    "[::1",
    "::1",
    "a@127.0.0.1",
    "127.0.0.1:",
    "",
    "localhost/x",
  ]) {
    expect(isKnownHost(host, NAMES), host).toBe(false);
  }
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { contains, formatRange, overlap, parseAddress, parseRange, type Range } from "../../../core/index.ts";
import { parseRoutes } from "./host-routes.ts";
import { Subnets } from "./subnets.ts";

function range(text: string): Range {
  const parsed = parseRange(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

const WHOLE = range("10.213.4.0/24");
const foreign = fc
  .tuple(fc.nat({ max: 255 }), fc.integer({ min: 24, max: 32 }))
  .map(([last, bits]) => range(`10.213.4.${last}/${bits}`));

test("subnets that are handed out overlap neither each other nor anybody else's, and all are used before the range is full", () => {
  fc.assert(
    fc.property(
      fc.array(foreign, { maxLength: 5 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (others, random) => {
        const subnets = new Subnets(WHOLE, random);
        subnets.setForeign(others);
        const taken: Range[] = [];
        try {
          for (let index = 0; index <= 32; index += 1) taken.push(subnets.take().range);
        } catch (error) {
          expect(error).toMatchObject({ code: "ENGINE_FAILED" });
        }
        const free = Array.from({ length: 32 }, (_, slot) => range(`10.213.4.${slot * 8}/29`)).filter(
          (one) => !others.some((other) => overlap(one, other)),
        );
        expect(taken.map(formatRange).sort()).toEqual(free.map(formatRange).sort());
      },
    ),
  );
});

test("what is given back is handed out again, and not before the others", () => {
  const subnets = new Subnets(WHOLE, 0);
  const first = subnets.take();
  subnets.release(first.range);
  const next = Array.from({ length: 32 }, () => subnets.take().cidr);
  expect(next.indexOf(first.cidr)).toBe(31);
});

test("a subnet's addresses lie in it and are all different", () => {
  const subnet = new Subnets(WHOLE, 0.5).take();
  const addresses = [subnet.gateway, subnet.taskAddress, subnet.daemonAddress];
  expect(new Set(addresses).size).toBe(3);
  for (const address of addresses) expect(contains(subnet.range, parseAddress(address) ?? 0)).toBe(true);
});

test.each(["", "10.0.0.0/33", "10.0.0/8", "10.0.0.256", "::1/64", "10.0.0.0/8/8", "a.b.c.d"])(
  "%j is no IPv4 range",
  (text) => {
    expect(parseRange(text)).toBeUndefined();
  },
);

test("a peer's address is read in both forms that sockets show", () => {
  expect(parseAddress("::ffff:10.213.0.2")).toBe(parseAddress("10.213.0.2"));
  expect(parseAddress("fe80::1")).toBeUndefined();
});

test("the kernel's table of routes is read, without the default one", () => {
  const table = [
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
    "br-1\t0804D50A\t00000000\t0001\t0\t0\t0\tF8FFFFFF\t0\t0\t0",
    "",
  ].join("\n");
  expect(parseRoutes(table).map(({ face, range: found }) => [face, formatRange(found)])).toEqual([
    ["br-1", "10.213.4.8/29"],
  ]);
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NetworkBlocks, parseRoutes } from "./blocks.ts";
import { isTaskLink, NetworkNames } from "./names.ts";

const ROUTES = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
vpn0	00000000	00000000	0001	0	0	0	00000080	0	0	0
br-1	0800D40A	00000000	0001	0	0	0	F8FFFFFF	0	0	0
h0123abcd-4	1000D40A	00000000	0001	0	0	0	FCFFFFFF	0	0	0
*	0000D40A	00000000	0201	0	0	1207959552	0000FFFF	0	0	0
`;

/** All blocks of a range, in the order of their addresses. */
function takeAll(blocks: NetworkBlocks, routes = parseRoutes("")): readonly string[] {
  const addresses: string[] = [];
  for (let block = blocks.take(routes); block !== undefined; block = blocks.take(routes))
    addresses.push(block.taskAddress);
  return addresses.sort();
}

describe("the addresses of tasks' networks", () => {
  test("the host's routes are read", () => {
    expect(parseRoutes(ROUTES)).toEqual([
      { link: "eth0", base: 0, bits: 0 },
      { link: "eth0", base: 0xc0_00_02_00, bits: 24 },
      { link: "vpn0", base: 0, bits: 1 },
      { link: "br-1", base: 0x0a_d4_00_08, bits: 29 },
      { link: "h0123abcd-4", base: 0x0a_d4_00_10, bits: 30 },
      { link: "*", base: 0x0a_d4_00_00, bits: 16 },
    ]);
  });

  test("each is handed out once until it is given back, with two usable addresses in four", () => {
    const blocks = new NetworkBlocks("10.212.0.0/28", "me");
    expect(takeAll(blocks)).toEqual(["10.212.0.10", "10.212.0.14", "10.212.0.2", "10.212.0.6"]);
    blocks.giveBack(2);
    expect(blocks.take([])).toEqual({ index: 2, hostAddress: "10.212.0.9", taskAddress: "10.212.0.10" });
    expect(blocks.isTaken(2)).toBe(true);
  });

  test("what the host uses is left out; a way to the outside is no use", () => {
    const blocks = new NetworkBlocks("10.212.0.0/27", "me");
    // The bridge takes the blocks at .8 and .12, the other daemon's cable that at .16.
    expect(takeAll(blocks, parseRoutes(ROUTES))).toEqual([
      "10.212.0.2",
      "10.212.0.22",
      "10.212.0.26",
      "10.212.0.30",
      "10.212.0.6",
    ]);
  });

  test("in a range that the host uses as a whole there is none", () => {
    const blocks = new NetworkBlocks("10.212.0.0/24", "me");
    expect(blocks.take([{ link: "eth0", base: 0x0a_00_00_00, bits: 8 }])).toBeUndefined();
    expect(blocks.isTask("10.212.0.2")).toBe(false);
  });

  test("a caller from the range is a task, unless the host uses that part for something else", () => {
    const blocks = new NetworkBlocks("10.212.0.0/24", "me");
    blocks.take(parseRoutes(ROUTES));
    for (const address of ["10.212.0.18", "10.212.0.254", "::ffff:10.212.0.2"])
      expect(blocks.isTask(address)).toBe(true);
    for (const address of [
      "10.212.0.10",
      "10.212.1.2",
      "10.211.255.254",
      "127.0.0.1",
      "::1",
      "fe80::1%eth0",
      "",
    ])
      expect(blocks.isTask(address)).toBe(false);
  });

  test.each(["", "10.212.0.0", "10.212.0.0/31", "10.0.0.0/7", "10.212.0.256/16", "fd00::/64", "a.b.c.d/16"])(
    "%j is no range",
    (range) => {
      expect(() => new NetworkBlocks(range, "me")).toThrow(RangeError);
    },
  );

  test("whatever the range, a block lies in it and its addresses in each other's /30", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 8, max: 30 }), fc.string(), (address, bits, owner) => {
        const block = new NetworkBlocks(`${address}/${bits}`, owner).take([]);
        const value = (text = ""): number =>
          text.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
        const size = 2 ** (32 - bits);
        const start = Math.floor(value(address) / size);
        expect(Math.floor(value(block?.taskAddress) / size)).toBe(start);
        expect(value(block?.hostAddress) % 4).toBe(1);
        expect(value(block?.taskAddress)).toBe(value(block?.hostAddress) + 1);
      }),
    );
  });
});

describe("the names of tasks' networks", () => {
  test("are short enough for the kernel, and tell owner and number", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 0, max: 65_535 }), (owner, index) => {
        const names = new NetworkNames(owner);
        expect(names.link(index).length).toBeLessThanOrEqual(15);
        expect(isTaskLink(names.link(index))).toBe(true);
        for (const name of [names.link(index), names.namespace(index)]) {
          expect(names.indexOf(name)).toBe(index);
          expect(new NetworkNames(`${owner}!`).indexOf(name)).toBeUndefined();
        }
      }),
    );
    for (const name of ["eth0", "hb6f2bb6a", "hearth", "docker0", "br-0123abcd-1"])
      expect(new NetworkNames("me").indexOf(name)).toBeUndefined();
  });
});

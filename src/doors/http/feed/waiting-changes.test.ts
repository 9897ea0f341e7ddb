import { expect, test } from "vitest";
import { FakeDisk } from "../../../../test/support/fake-disk.ts";
import { openTestDoor } from "../../../../test/support/open-test-door.ts";
import type { Host } from "../../../contract/v1/host.ts";
import { EventRing } from "./event-ring.ts";
import { tellOffer } from "./waiting-changes.ts";

test("a disk that fills is no change of what a host offers; one of another size is", async () => {
  const hostDisk = new FakeDisk();
  await using door = await openTestDoor({ hostDisk });
  const host = async (): Promise<Host> => (await (await fetch(`${door.url}/v1/host`)).json()) as Host;
  const ring = new EventRing("life", 8, () => 0);
  const first = tellOffer(ring, "", await host());
  hostDisk.leftBytes -= 1e9;
  hostDisk.book(1e9);
  expect(tellOffer(ring, first, await host())).toBe(first);
  const other = await host();
  const grown = { ...other, disk: { ...other.disk!, totalBytes: 2000e9 } };
  expect(tellOffer(ring, first, grown)).not.toBe(first);
});

import { afterAll, beforeAll, describe } from "vitest";
import { describeFailures } from "./failures.ts";
import type { StoreKind, StoreUnderTest } from "./harness.ts";
import { describeLarge } from "./large.ts";
import { describeObjects } from "./objects.ts";

/** What every artifact store promises. One store for all of it: tests keep to keys of their own. */
export function describeArtifactStore(kind: StoreKind): void {
  describe(`artifact store: ${kind.name}`, () => {
    let opened: Awaited<ReturnType<StoreKind["open"]>> | undefined;
    const underTest = (): StoreUnderTest => {
      if (opened === undefined) throw new Error("the store is not open");
      return opened;
    };
    beforeAll(async () => {
      opened = await kind.open();
    });
    afterAll(async () => {
      await opened?.store[Symbol.asyncDispose]();
      await opened?.end();
    });
    describeObjects(underTest);
    describeFailures(underTest, kind);
    describeLarge(underTest, kind);
  });
}

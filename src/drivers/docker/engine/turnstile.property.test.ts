import fc from "fast-check";
import { expect, test } from "vitest";
import { Turnstile } from "./turnstile.ts";

test("never more run at once than may, all of them run, in the order in which they came, and failures stay their own", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.record({ steps: fc.nat({ max: 4 }), fails: fc.boolean() }), { maxLength: 30 }),
      async (atOnce, jobs) => {
        const turnstile = new Turnstile(atOnce);
        const begun: number[] = [];
        let running = 0;
        const results = await Promise.allSettled(
          jobs.map(({ steps, fails }, index) =>
            turnstile.pass(async () => {
              begun.push(index);
              running += 1;
              expect(running).toBeLessThanOrEqual(atOnce);
              for (let step = 0; step < steps; step += 1) await Promise.resolve();
              running -= 1;
              if (fails) throw new Error(String(index));
              return index;
            }),
          ),
        );
        expect(begun).toEqual(jobs.map((_, index) => index));
        expect(results.map(({ status }) => status)).toEqual(
          jobs.map(({ fails }) => (fails ? "rejected" : "fulfilled")),
        );
      },
    ),
  );
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { openTestDoor } from "../support/open-test-door.ts";

const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(-1, 0, 0.5, 1, 2 ** 53, 1e300));
const value = fc.oneof(number, fc.boolean(), fc.string(), fc.constantFrom(null, [], {}, "1", "kata"));
const bodies = fc.oneof(
  fc.record(
    {
      timeout: value,
      cpu: fc.oneof(value, fc.integer({ min: 1, max: 80 })),
      mem: fc.oneof(value, fc.integer({ min: 1, max: 9000 })),
      has_gpu: value,
      microVM_runtime: value,
      type: value,
    },
    { requiredKeys: [] },
  ),
  fc.jsonValue(),
  fc.dictionary(fc.string(), value),
);

test("E4: whatever body update-config is sent, it is applied as a whole or not at all, and says which", async () => {
  await using door = await openTestDoor();
  door.executor.state = "paused";
  await fc.assert(
    fc.asyncProperty(bodies, fc.boolean(), async (body, isHalf) => {
      const text = JSON.stringify(body);
      const payload = isHalf ? text.slice(0, Math.ceil(text.length / 2)) : text;
      const before = new Map(door.settings);
      const answer = await door.inject({ method: "POST", url: "/update-config", payload });
      const { success, msg } = answer.json<{ success: boolean; msg: string }>();
      expect(typeof msg).toBe("string");
      expect(answer.statusCode).toBe(success ? 200 : 400);
      if (!success) expect(door.settings).toEqual(before);
      else {
        for (const key of ["timeout", "cpu", "mem"] as const) {
          const asked = (body as Record<string, unknown>)[key];
          expect(door.settings.get(key)).toBe(asked ?? before.get(key));
        }
      }
      expect(Number(door.settings.get("timeout"))).toBeGreaterThan(0);
    }),
    { numRuns: 1000 },
  );
});

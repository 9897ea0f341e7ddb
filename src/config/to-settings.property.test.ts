import fc from "fast-check";
import { expect, test } from "vitest";
import { MEBIBYTE } from "../core/index.ts";
import { ConfigSchema } from "./schema.ts";
import { toSettings } from "./to-settings.ts";

const hosts = fc.record({
  cpuMillis: fc.integer({ min: 100, max: 256_000 }),
  memoryBytes: fc.integer({ min: 16 * MEBIBYTE, max: 2 ** 42 }),
});

test("E6: whatever is configured, the limits fit the host and the shares fit the limits", () => {
  const wishes = fc.record({
    cpu: fc.double({ min: 0.001, max: 4096, noNaN: true }),
    mem: fc.integer({ min: 1, max: 1 << 26 }),
    part: fc.double({ min: 0, max: 0.49, noNaN: true }),
  });
  fc.assert(
    fc.property(wishes, hosts, ({ cpu, mem, part }, host) => {
      const share = { cpu: cpu * part, mem: Math.floor(mem * part) };
      const config = ConfigSchema.parse({ cpu, mem, shares: { http: share, stream: share } });
      const { settings, notes } = toSettings(config, host);
      expect(settings.cpuMillis).toBeLessThanOrEqual(host.cpuMillis);
      expect(settings.cpuMillis).toBeGreaterThan(0);
      expect(settings.memoryBytes).toBeLessThanOrEqual(host.memoryBytes * 0.8);
      expect(settings.memoryBytes % MEBIBYTE).toBe(0);
      const shares = Object.values(settings.shares);
      expect(shares.reduce((sum, { cpuMillis }) => sum + cpuMillis, 0)).toBeLessThanOrEqual(
        settings.cpuMillis + 2,
      );
      expect(shares.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0)).toBeLessThanOrEqual(
        settings.memoryBytes,
      );
      expect(notes.length).toBeLessThanOrEqual(2);
    }),
  );
});

test("M1: without a file the limits are 4 cores, 4096 MB and one minute, clamped to the host", () => {
  const big = toSettings(ConfigSchema.parse({}), { cpuMillis: 64_000, memoryBytes: 2 ** 37 });
  expect(big.settings).toMatchObject({
    cpuMillis: 4000,
    memoryBytes: 4096 * MEBIBYTE,
    idleTimeoutMs: 60_000,
  });
  expect(big.notes).toEqual([]);
  const small = toSettings(ConfigSchema.parse({}), { cpuMillis: 2000, memoryBytes: 1000 * MEBIBYTE });
  expect(small.settings).toMatchObject({ cpuMillis: 2000, memoryBytes: 800 * MEBIBYTE });
  expect(small.notes).toHaveLength(2);
});

test("defect 8: a fraction of a core stays", () => {
  const { settings } = toSettings(ConfigSchema.parse({ cpu: 1.5 }), {
    cpuMillis: 4000,
    memoryBytes: 2 ** 33,
  });
  expect(settings.cpuMillis).toBe(1500);
});

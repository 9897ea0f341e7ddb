import { expect, test } from "vitest";
import type { GpuReading } from "../../core/index.ts";
import { CardNews } from "./card-news.ts";

const card = (id: string, reason?: string): GpuReading => ({
  id,
  index: 0,
  model: "m",
  memoryBytes: 1,
  memoryUsedBytes: 0,
  computePercent: 0,
  health: reason === undefined ? { isHealthy: true } : { isHealthy: false, reason },
  pids: [],
});

test("each change is told once, not each reading", () => {
  const told: string[] = [];
  const news = new CardNews({
    log: (_, event, fields = {}) => {
      const facts = [fields["gpu"], fields["reason"]].filter((fact) => typeof fact === "string");
      told.push([event, ...facts].join(" "));
    },
  });
  const tell = (readings: readonly GpuReading[], trouble?: string): string[] => {
    told.length = 0;
    news.tell({ source: "nvml", driverVersion: "1", trouble, readings });
    return [...told];
  };
  expect(tell([card("a"), card("b", "ill")])).toEqual(["gpu.found", "gpu.lost b ill"]);
  expect(tell([card("a"), card("b", "ill")])).toEqual([]);
  expect(tell([card("a", "gone"), card("b", "worse")], "silent")).toEqual([
    "gpu.lost silent",
    "gpu.lost a gone",
    "gpu.lost b worse",
  ]);
  expect(tell([card("a"), card("b")], "silent")).toEqual(["gpu.regained a", "gpu.regained b"]);
  news.forget();
  expect(tell([card("a")])).toEqual(["gpu.found"]);
});

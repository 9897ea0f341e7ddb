import type { Books, Settings } from "../core/index.ts";
import { NO_RESOURCES, planRoom, plus } from "../core/index.ts";
import type { DeskSandboxes } from "./admission-desk.ts";

/** Brings the books under lowered limits as far as idle sandboxes go; each call that ends later comes back here. */
export function shrink(books: Books, sandboxes: DeskSandboxes, settings: Settings, nowMs: number): void {
  const { free, rack } = books;
  if (free.cpuMillis >= 0 && free.memoryBytes >= 0) return;
  const idle = sandboxes.holdings().filter((holding) => holding.isIdle);
  const options = { order: settings.evictionOrder, nowMs, keep: undefined };
  const all = { freeze: [], evict: idle.map((one) => one.sandboxId) };
  const supply = { free: plus(free, sandboxes.releasing()), rack };
  const room = planRoom({ ...NO_RESOURCES, gpuMemoryBytes: 0 }, supply, idle, options) ?? all;
  for (const sandboxId of room.freeze) sandboxes.freeze(sandboxId);
  for (const sandboxId of room.evict) sandboxes.evict(sandboxId);
}

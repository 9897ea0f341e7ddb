import { describe, expect, test } from "vitest";
import { card, FakeGpus } from "../../../test/support/fake-gpus.ts";
import { cardsByImage, IN_USE, UNUSED, warm, withGpus } from "../../../test/support/gpu-executor.ts";
import { gpuTask, record, task } from "../../../test/support/test-executor.ts";
import { NO_GPUS } from "../../core/index.ts";

describe("a monitor in trouble", () => {
  test("M24: where it is missing, work without GPUs is untouched and GPU work is refused", async () => {
    const { executor, clock } = await withGpus(NO_GPUS);
    const calls = [record(executor, task("plain")), record(executor, gpuTask("a"))];
    await clock.advance(1);
    expect(calls[0]?.placement).toBeDefined();
    expect(calls[1]?.error).toMatchObject({ code: "GPU_UNAVAILABLE", facts: { offered: 0 } });
  });

  test("M24: while it fails no card is handed out, what holds cards goes on, and after it all is as before", async () => {
    const gpus = new FakeGpus([card(0), card(1)]);
    const parts = await withGpus(gpus);
    const { executor, clock, channels } = parts;
    record(executor, gpuTask("held"));
    await clock.advance(1);
    gpus.fail("the driver does not answer");
    const plain = record(executor, task("plain"));
    const fresh = record(executor, gpuTask("fresh"));
    await clock.advance(1);
    expect(plain.placement).toBeDefined();
    expect(fresh.error).toMatchObject({ code: "GPU_UNAVAILABLE", facts: { offered: 0 } });
    expect(fresh.error?.message).toContain("the driver does not answer");
    expect(executor.view()).toMatchObject({ capacity: { gpuCount: 0 }, reserved: { gpuCount: 1 } });
    channels.calls[0]?.answer();
    const warmCall = record(executor, gpuTask("held"));
    await clock.advance(1);
    expect(warmCall.placement?.start).toBe("warm");
    gpus.heal();
    const again = record(executor, gpuTask("again"));
    await clock.advance(1);
    expect(cardsByImage(parts)).toMatchObject({ held: ["GPU-0"], again: ["GPU-1"] });
    expect(again.placement).toBeDefined();
  });

  test("M24: one that only coughs does not refuse those who wait", async () => {
    const gpus = new FakeGpus([card(0, IN_USE)]);
    const { executor, clock } = await withGpus(gpus);
    const call = record(executor, gpuTask("a"));
    await clock.advance(1_000);
    gpus.fail("no answer in time");
    await clock.advance(1_000);
    expect(executor.waiting()[0]?.reason).toContain("no answer in time");
    gpus.heal();
    gpus.change(0, UNUSED);
    await clock.advance(1);
    expect(call.placement).toBeDefined();
  });

  test("before the first reading a wish waits for it, and is refused if it was too much", async () => {
    const gpus = new FakeGpus([]);
    gpus.source = "none";
    const { executor, clock } = await withGpus(gpus);
    const calls = [record(executor, gpuTask("a")), record(executor, gpuTask("b", 2))];
    await clock.advance(1);
    expect(executor.waiting()[0]?.reason).toBe("the GPUs of this host have not been read yet");
    gpus.source = "nvml";
    gpus.read([card(0)]);
    await clock.advance(1);
    expect(calls[0]?.placement).toBeDefined();
    expect(calls[1]?.error).toMatchObject({ code: "GPU_UNAVAILABLE", facts: { asked: 2, offered: 1 } });
  });

  test("a refusal names the card that cannot be used, or says what is true of all", async () => {
    const broken = (reason: string) => ({ health: { isHealthy: false, reason } }) as const;
    const gpus = new FakeGpus([card(0), card(1, broken("XID 79"))]);
    const { executor, clock } = await withGpus(gpus);
    const refusal = async (): Promise<unknown> => {
      const call = record(executor, gpuTask("a", 2));
      await clock.advance(1);
      return call.error;
    };
    expect(await refusal()).toMatchObject({
      facts: { reason: "card 1 cannot be used (XID 79)", asked: 2, offered: 1 },
    });
    gpus.read([card(0, broken("it has no driver")), card(1, broken("it has no driver"))]);
    await clock.advance(1);
    expect(await refusal()).toMatchObject({ facts: { reason: "it has no driver", offered: 0 } });
  });

  test("a sandbox whose card breaks takes no more calls: an idle one goes, a busy one ends its calls first", async () => {
    const gpus = new FakeGpus([card(0), card(1), card(2)]);
    const parts = await withGpus(gpus);
    await warm(parts, gpuTask("idle"));
    const busy = record(parts.executor, gpuTask("busy"));
    await parts.clock.advance(1);
    const health = { isHealthy: false, reason: "XID 79" } as const;
    gpus.read([card(0, { health }), card(1, { health }), card(2)]);
    await parts.clock.advance(50);
    expect(cardsByImage(parts)).toEqual({ busy: ["GPU-1"] });
    const next = record(parts.executor, gpuTask("busy"));
    await parts.clock.advance(50);
    expect(next.placement?.sandboxId).not.toBe(busy.placement?.sandboxId);
    parts.channels.calls[0]?.answer();
    await parts.clock.advance(50);
    expect(busy).toMatchObject({ ends: 1, error: undefined });
    expect(cardsByImage(parts)).toEqual({ busy: ["GPU-2"] });
  });

  test("a card that vanishes stays booked until its holder ends, leaves the capacity, and is handed to nobody", async () => {
    const gpus = new FakeGpus([card(0), card(1)]);
    const parts = await withGpus(gpus);
    const { executor, clock, channels, driver } = parts;
    record(executor, gpuTask("a"));
    await clock.advance(1);
    gpus.read([card(1)]);
    expect(executor.view()).toMatchObject({ capacity: { gpuCount: 1 }, reserved: { gpuCount: 1 } });
    record(executor, gpuTask("b"));
    await clock.advance(1);
    expect(cardsByImage(parts)).toEqual({ a: ["GPU-0"], b: ["GPU-1"] });
    const tooMuch = record(executor, gpuTask("c", 2));
    gpus.read([card(0), card(1)]);
    const waits = record(executor, gpuTask("d"));
    await clock.advance(1);
    expect([tooMuch.ends, waits.placement]).toEqual([1, undefined]);
    channels.calls[0]?.answer();
    await clock.advance(1);
    expect(cardsByImage(parts)).toEqual({ b: ["GPU-1"], d: ["GPU-0"] });
    expect(driver.live.size).toBe(2);
  });
});

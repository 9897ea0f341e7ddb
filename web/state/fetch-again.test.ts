import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fetchAgain } from "./fetch-again.ts";

const broken = new TypeError("Failed to fetch");
const tried = vi.fn<typeof fetch>();

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", tried);
  tried.mockReset().mockRejectedValue(broken);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** How it comes out when all pauses are over. */
async function outcome(init?: RequestInit): Promise<unknown> {
  const asked = fetchAgain("/v1/host", init).catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  return await asked;
}

test("what is broken off twice is answered at the third try, with what was asked at first", async () => {
  const answer = new Response("well");
  tried.mockRejectedValueOnce(broken).mockRejectedValueOnce(broken).mockResolvedValueOnce(answer);
  const init = { method: "POST", body: "{}" };
  expect(await outcome(init)).toBe(answer);
  expect(tried.mock.calls).toEqual(Array(3).fill(["/v1/host", init]));
});

test("an answer is an answer, whatever it says", async () => {
  tried.mockResolvedValueOnce(new Response("", { status: 503 }));
  expect(await outcome()).toMatchObject({ status: 503 });
  expect(tried).toHaveBeenCalledOnce();
});

test("after three tries nobody answers", async () => {
  expect(await outcome()).toBe(broken);
  expect(tried).toHaveBeenCalledTimes(3);
});

test("nothing is asked again for whoever has given up", async () => {
  const signal = AbortSignal.abort();
  expect(await outcome({ signal })).toBe(broken);
  expect(tried).toHaveBeenCalledOnce();
});

test.each([
  ["POST", 1],
  ["PATCH", 1],
  ["DELETE", 1],
  ["GET", 3],
])(
  "of a %s that was out for long there are %d tries: an old order may not come late",
  async (method, times) => {
    tried.mockImplementation(() => {
      vi.setSystemTime(Date.now() + 1500);
      return Promise.reject(broken);
    });
    expect(await outcome({ method })).toBe(broken);
    expect(tried).toHaveBeenCalledTimes(times);
  },
);

test("an order does not go out again when the machine has slept in the pause", async () => {
  const asked = fetchAgain("/v1/pause", { method: "POST" }).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(20);
  vi.setSystemTime(Date.now() + 3_600_000);
  await vi.runAllTimersAsync();
  expect(await asked).toBe(broken);
  expect(tried).toHaveBeenCalledOnce();
});

import { describe, expect, test } from "vitest";
import { ChosenCards, surroundingChoice } from "./chosen-cards.ts";
import type { Card } from "./report.ts";

function cards(...ids: readonly string[]): Card[] {
  return ids.map((id, index) => ({
    id,
    index,
    model: "m",
    pciBusId: "",
    memoryBytes: 0,
    memoryUsedBytes: 0,
    computePercent: 0,
    pids: [],
  }));
}

function pick(lists: readonly (readonly string[])[], ...looks: readonly (readonly string[])[]): string[] {
  const chosen = new ChosenCards(lists);
  for (const ids of looks) chosen.meet(cards(...ids));
  return [...new Set(looks.flat())].filter((id) => chosen.has(id));
}

describe("which cards may be used", () => {
  test("all of them without a list; by index, UUID or its beginning with one; none with an empty one", () => {
    const here = ["GPU-aa", "GPU-bb", "GPU-cc"];
    expect(pick([], here)).toEqual(here);
    expect(pick([["1", "gpu-CC"]], here)).toEqual(["GPU-bb", "GPU-cc"]);
    expect(pick([["GPU-a"]], here)).toEqual(["GPU-aa"]);
    expect(pick([[]], here)).toEqual([]);
    expect(
      pick(
        [
          ["0", "1"],
          ["1", "2"],
        ],
        here,
      ),
    ).toEqual(["GPU-bb"]);
  });

  test("M24: an index stays with the card that had it first", () => {
    expect(pick([["1"]], ["GPU-aa", "GPU-bb", "GPU-cc"], ["GPU-aa", "GPU-cc"])).toEqual(["GPU-bb"]);
    // A card that had another index before is no newcomer at this one.
    expect(pick([["2"]], ["GPU-aa", "GPU-bb"], ["GPU-cc", "GPU-aa", "GPU-bb"])).toEqual([]);
    expect(pick([["2"]], ["GPU-aa", "GPU-bb"], ["GPU-aa", "GPU-bb", "GPU-cc"])).toEqual(["GPU-cc"]);
  });
});

describe("what the daemon's own surroundings allow", () => {
  const host = (env: Record<string, string>): unknown => surroundingChoice({ env, isInContainer: false });
  const inside = (env: Record<string, string>): unknown => surroundingChoice({ env, isInContainer: true });

  test("CUDA_VISIBLE_DEVICES, up to the first word that names no card", () => {
    expect(host({})).toEqual([]);
    expect(host({ CUDA_VISIBLE_DEVICES: "1, GPU-x,-1,2" })).toEqual([["1", "GPU-x"]]);
    expect(host({ CUDA_VISIBLE_DEVICES: "" })).toEqual([[]]);
    expect(inside({ CUDA_VISIBLE_DEVICES: "NoDevFiles" })).toEqual([[]]);
  });

  test("M24: NVIDIA_VISIBLE_DEVICES counts on a host; in a container the runtime has counted already", () => {
    expect(host({ NVIDIA_VISIBLE_DEVICES: "1,2,3" })).toEqual([["1", "2", "3"]]);
    expect(inside({ NVIDIA_VISIBLE_DEVICES: "1,2,3" })).toEqual([]);
    expect(inside({ NVIDIA_VISIBLE_DEVICES: "GPU-a,GPU-b" })).toEqual([["GPU-a", "GPU-b"]]);
    expect(host({ NVIDIA_VISIBLE_DEVICES: "all" })).toEqual([]);
    expect(inside({ NVIDIA_VISIBLE_DEVICES: "none" })).toEqual([[]]);
  });
});

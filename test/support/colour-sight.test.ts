import { expect, test } from "vitest";
import { ciede2000, difference, SIGHTS } from "./colour-sight.ts";

test("differences of colours are those that were published with the formula", () => {
  // From table 1 of the paper: around blue, with greys, over the break of the hue circle, far apart, and close.
  for (const [one, other, expected] of [
    [[50, 2.6772, -79.7751], [50, 0, -82.7485], 2.0425],
    [[50, 0, 0], [50, -1, 2], 2.3669],
    [[50, 2.49, -0.001], [50, -2.49, 0.0009], 7.1792],
    [[50, 2.5, 0], [73, 25, -18], 27.1492],
    [[60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644],
    [[2.0776, 0.0795, -1.135], [0.9033, -0.0636, -0.5514], 0.9082],
  ] as const) {
    expect(ciede2000(one, other)).toBeCloseTo(expected, 4);
    expect(ciede2000(other, one)).toBeCloseTo(expected, 4);
  }
});

test("who lacks a kind of cone sees white as white, and takes for one what differs by that kind alone", () => {
  for (const sight of Object.keys(SIGHTS) as (keyof typeof SIGHTS)[]) {
    expect(difference("#ffffff", "#000000", sight)).toBeCloseTo(100, 1);
  }
  const [red, green] = ["#a06a00", "#5f8a00"] as const;
  expect(difference(red, green, "full")).toBeGreaterThan(25);
  expect(difference(red, green, "deuteranopia")).toBeLessThan(10);
  const [blue, teal] = ["#2f80c0", "#00878a"] as const;
  expect(difference(blue, teal, "full")).toBeGreaterThan(20);
  expect(difference(blue, teal, "tritanopia")).toBeLessThan(10);
});

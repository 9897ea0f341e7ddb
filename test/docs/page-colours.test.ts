import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Hex, Sight } from "../support/colour-sight.ts";
import { difference, SIGHTS } from "../support/colour-sight.ts";

/** CIEDE2000. From here on two colours are told apart at a glance, also in thin lines. */
const LEAST_APART = 10;

const web = fileURLToPath(new URL("../../web/", import.meta.url));
const read = (name: string): string => readFileSync(join(web, name), "utf8");
const styles = ["parts.css", "tables.css"].map((name) => read(`style/${name}`)).join("\n");
const parts = readdirSync(join(web, "parts"));

/** The colours of a theme by the names of their custom properties. */
function themeOf(selector: string): ReadonlyMap<string, Hex> {
  const body = blockOf(read("style/tokens.css"), selector);
  return new Map(
    [...body.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name = "", hex]) => [name, hex as Hex]),
  );
}

/** What stands in the braces after a selector, alone or in a list; empty where there is no such rule. */
function blockOf(css: string, selector: string): string {
  const rules = [...css.matchAll(/([^{}]+)\{([^{}]*)\}/g)];
  const found = rules.filter(([, selectors = ""]) =>
    selectors
      .replaceAll(/\/\*[^]*?\*\//g, "")
      .split(",")
      .some((one) => one.trim() === selector),
  );
  return found.map(([, , body = ""]) => body).join("\n");
}

/** The first colour that a rule names. */
function colourOf(selector: string): string | undefined {
  return /var\(--([\w-]+)\)/.exec(blockOf(styles, selector))?.[1];
}

interface Line {
  readonly colour: string;
  /** Empty for a line without gaps. */
  readonly dash: string;
}

/** The lines of each chart, by its title. */
const charts: ReadonlyMap<string, readonly Line[]> = new Map(
  read("parts/charts.tsx")
    .split("<Chart\n")
    .slice(1)
    .map((text) => [
      /title="([^"]+)"/.exec(text)?.[1] ?? "",
      [...text.matchAll(/colour: "--([\w-]+)"(?:, dash: \[([^\]]+)\])?/g)].map(
        ([, colour = "", dash = ""]) => ({
          ...{ colour, dash },
        }),
      ),
    ]),
);

/** Marks of phases of a start or a run, in the order in which they stand beside each other. */
function marksOf(part: string, key: string): readonly string[] {
  const list = /const PHASES = \[([^]*?)\n\]/.exec(read(`parts/${part}`))?.[1] ?? "";
  return [...list.matchAll(new RegExp(`\\b${key}: "(\\w+)"`, "g"))].map(([, name = ""]) => name);
}

function pairs<T>(all: readonly T[]): [T, T][] {
  return all.flatMap((one, i) => all.slice(i + 1).map((other): [T, T] => [one, other]));
}

function neighbours<T>(all: readonly T[]): [T, T][] {
  return all.slice(1).map((other, i): [T, T] => [all[i] as T, other]);
}

const named = (selectors: readonly string[]): string[] =>
  selectors.map((selector) => colourOf(selector) ?? `nothing for ${selector}`);

/** What stands side by side on the page, and has to be told apart there. */
const SIDE_BY_SIDE: readonly { readonly what: string; readonly together: [string, string][] }[] = [
  ...[...charts].map(([title, lines]) => ({
    what: `the lines of ${title}`,
    together: pairs(lines.map(({ colour }) => colour)),
  })),
  {
    what: "the states of this host",
    together: pairs(named(["good", "warn", "bad"].map((tone) => `.status.${tone} .glyph`))),
  },
  {
    what: "what is usable and what is not",
    together: pairs(named(["usable", "unusable", "unproven"].map((state) => `.${state} .glyph`))),
  },
  {
    what: "the states of tasks and runs",
    together: pairs([...named(["hot", "frozen", "failed"].map((state) => `.tier.${state} .glyph`))]),
  },
  { what: "the doors in the books", together: pairs(named([".http", ".stream", ".indexify"])) },
  ...[
    { what: "the phases of a start", marks: marksOf("starts.tsx", "key") },
    { what: "the phases of a run", marks: marksOf("run-sheet.tsx", "mark") },
  ].map(({ what, marks }) => ({ what, together: neighbours(named(marks.map((mark) => `.${mark}`))) })),
];

describe.each([
  ["light", ":root"],
  ["dark", ':root[data-theme="dark"]'],
])("in %s colours", (_, selector) => {
  const theme = themeOf(selector);

  test.each(SIDE_BY_SIDE)("V: $what are told apart with any kind of colour sight", ({ together }) => {
    expect(together.length).toBeGreaterThan(0);
    const close = together.flatMap(([one, other]) => {
      const [first, second] = [theme.get(one), theme.get(other)];
      if (first === undefined || second === undefined) return [`${one} and ${other} are no colours`];
      return (Object.keys(SIGHTS) as Sight[])
        .map((sight) => ({ sight, apart: difference(first, second, sight) }))
        .filter(({ apart }) => apart < LEAST_APART)
        .map(({ sight, apart }) => `${one} and ${other} with ${sight}: ${apart.toFixed(1)}`);
    });
    expect(close).toEqual([]);
  });
});

test("V: lines of a chart differ by their dashes too", () => {
  expect([...charts.keys()].length).toBeGreaterThan(3);
  for (const [title, lines] of charts)
    expect(new Set(lines.map(({ dash }) => dash)).size, title).toBe(lines.length);
});

test("V: doors and phases differ by their hatching too", () => {
  const hatch = (selector: string): string =>
    (/background: ([^;]*);/.exec(blockOf(styles, selector))?.[1] ?? "").replaceAll(/var\([^)]*\)/g, "");
  expect(new Set([".http", ".stream", ".indexify"].map(hatch)).size).toBe(3);
  for (const marks of [marksOf("starts.tsx", "key"), marksOf("run-sheet.tsx", "mark")]) {
    for (const [one, other] of neighbours(marks)) {
      const isSolid = [one, other].every((mark) => !hatch(`.${mark}`).includes("gradient"));
      // Two that are filled stand apart by what is told beside them alone.
      if (!isSolid) expect(hatch(`.${one}`), `${one} and ${other}`).not.toBe(hatch(`.${other}`));
    }
  }
});

test("V: a state has a sign of its own wherever it has a colour of its own", () => {
  let seen = 0;
  for (const part of parts) {
    const source = read(`parts/${part}`);
    const list = /const SIGNS[^{]*\{([^}]*)\}/.exec(source)?.[1];
    if (list === undefined) continue;
    seen += 1;
    const alias = /state === "(\w+)" \? "(\w+)"/.exec(source);
    const signs = [...list.matchAll(/(\w+): "(\w+)"/g)].map(([, state = "", sign = ""]) => {
      const name = state === alias?.[1] ? (alias[2] ?? state) : state;
      const colours = [`.tier.${name} .glyph`, `.status.${name} .glyph`, `.${name} .glyph`].map(colourOf);
      return { state, sign, colour: colours.find((colour) => colour !== undefined) };
    });
    expect(signs.length, part).toBeGreaterThan(1);
    for (const [one, other] of pairs(signs))
      if (one.colour !== other.colour)
        expect(one.sign, `${one.state} and ${other.state} of ${part}`).not.toBe(other.sign);
    // A sign stands beside the word.
    expect(source, part).toContain("<Glyph");
  }
  expect(seen).toBe(6);
});

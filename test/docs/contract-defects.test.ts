import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Row {
  /** `1` to `21`, or `decision 1`. */
  readonly name: string;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
}

const rows = readRows(readFileSync(join(root, "docs/contract-defects.md"), "utf8"));

test("docs/contract-defects.md has a row for each of the 21 defects and both decisions", () => {
  const defects = Array.from({ length: 21 }, (_, at) => String(at + 1));
  expect(rows.map(({ name }) => name)).toEqual([...defects, "decision 1", "decision 2"]);
});

test.each(rows)("row $name names tests that are there", ({ tests }) => {
  expect(tests.length).toBeGreaterThan(0);
  for (const { file, title } of tests) {
    expect(existsSync(join(root, file)), file).toBe(true);
    expect(file).toMatch(/^(src|test)\/.+\.test\.ts$|^test\/conformance\/.+\.ts$/);
    expect(titlesOf(file), `${file}: ${title}`).toContain(title);
  }
});

test("every test that is named after a defect or decision is in its row", () => {
  const named = testFiles().flatMap((file) =>
    titlesOf(file).flatMap((title) => {
      const [, defect, decision] = /^(?:defect (\d+)|(decision \d+)): /.exec(title) ?? [];
      const name = defect ?? decision;
      return name === undefined ? [] : [{ name, file, title }];
    }),
  );
  expect(named.length).toBeGreaterThan(0);
  for (const { name, file, title } of named) {
    expect(rows.find((row) => row.name === name)?.tests).toContainEqual({ file, title });
  }
});

function readRows(page: string): readonly Row[] {
  return page
    .split("\n")
    .map((line) => line.split(" | "))
    .filter(([first]) => /^\| (\d+|decision \d+)$/.test(first ?? ""))
    .map((cells) => ({
      name: (cells[0] ?? "").slice(2),
      tests: (cells.at(-1) ?? "").replace(/ \|$/, "").split("<br>").map(readTest),
    }));
}

function readTest(text: string): Row["tests"][number] {
  const [, file = "", title = ""] = /^`([^`]+)`: (.+)$/.exec(text) ?? [];
  return { file, title };
}

/** What its calls of `test` are titled, as it stands in the file; a table may stand between the name and the title. */
function titlesOf(file: string): readonly string[] {
  const text = readFileSync(join(root, file), "utf8");
  const found = text.matchAll(/(?:\btest\(|\)\()\s*(?:"([^"\n]+)"|`([^`\n]+)`)/g);
  return [...found].map(([, plain, template]) => plain ?? template ?? "");
}

function testFiles(): readonly string[] {
  return ["src", "test"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => join(folder, name)),
  );
}

import * as z from "zod";
import type { LeafFacts } from "./leaf.ts";
import { leaves, sections } from "./leaf.ts";
import { ConfigSchema } from "./schema.ts";

/** One setting, with everything that follows from its place in the schema. */
export interface Row extends LeafFacts {
  readonly path: readonly string[];
  /** As people write it: `http.port`. */
  readonly key: string;
  /** As in `HEARTH_HTTP_PORT`; none for what only a file can hold. */
  readonly env: string | undefined;
  /** As in `--http-port`; none for secrets either, since everybody on the host can read a command line. */
  readonly flag: string | undefined;
  readonly fallback: unknown;
}

export interface SectionRow {
  readonly path: readonly string[];
  readonly key: string;
  readonly about: string;
}

interface Table {
  readonly rows: readonly Row[];
  readonly sections: readonly SectionRow[];
}

/** Every setting in the order of the schema. */
export const TABLE: Table = readTable();

const BY_KEY = new Map(TABLE.rows.map((row) => [row.key, row]));

export function findRow(key: string): Row | undefined {
  return BY_KEY.get(key);
}

/** Whether a key names a section. */
export function isSection(key: string): boolean {
  return TABLE.sections.some((section) => section.key === key);
}

function readTable(): Table {
  const rows: Row[] = [];
  const sectionRows: SectionRow[] = [];
  const visit = (shape: Readonly<Record<string, unknown>>, path: readonly string[]): void => {
    for (const [name, schema] of Object.entries(shape)) {
      if (!(schema instanceof z.ZodType)) continue;
      const here = [...path, name];
      const facts = leaves.get(schema);
      if (facts !== undefined) {
        rows.push(rowOf(here, facts, schema));
        continue;
      }
      const about = sections.get(schema)?.about;
      const inner = schema instanceof z.ZodPrefault ? schema.unwrap() : schema;
      if (about === undefined || !(inner instanceof z.ZodObject)) {
        throw new Error(`${here.join(".")} is neither a setting nor a section`);
      }
      sectionRows.push({ path: here, key: here.join("."), about });
      visit(inner.shape, here);
    }
  };
  visit(ConfigSchema.shape, []);
  return { rows, sections: sectionRows };
}

function rowOf(path: readonly string[], facts: LeafFacts, schema: z.ZodType): Row {
  const isFileOnly = facts.kind === "records";
  const words = path.join("_").replaceAll(".", "_");
  return {
    ...facts,
    path,
    key: path.join("."),
    env: isFileOnly ? undefined : `HEARTH_${words.toUpperCase()}`,
    flag: isFileOnly || facts.kind === "secret" ? undefined : `--${words.toLowerCase().replaceAll("_", "-")}`,
    fallback: facts.kind === "secret" ? "" : schema.parse(undefined),
  };
}

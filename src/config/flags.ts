import type { Row } from "./table.ts";
import { TABLE } from "./table.ts";

/** One setting as a flag of `serve`. */
export interface SettingFlag {
  readonly key: string;
  readonly flag: string;
  /** What the help calls its value: a unit, or the choices. */
  readonly value: string;
  /** Whether the flag alone means true. */
  readonly isSwitch: boolean;
  readonly about: string;
  readonly section: string;
}

/** Every setting that a flag can hold. */
export function listFlags(): readonly SettingFlag[] {
  return TABLE.rows.flatMap((row) =>
    row.flag === undefined
      ? []
      : [
          {
            key: row.key,
            flag: row.flag,
            value: valueName(row),
            isSwitch: row.kind === "switch",
            about: `${withoutStop(row.about)} (default: ${row.defaultText ?? shown(row.fallback)})`,
            section: row.path.length > 1 ? (row.path[0] ?? "") : "top level",
          },
        ],
  );
}

function valueName({ kind, unit, choices, isPath }: Row): string {
  if (choices !== undefined) return choices.join("|");
  if (unit !== undefined) return unit;
  if (kind === "list") return isPath === true ? "path,path" : "text,text";
  if (isPath === true) return "path";
  return kind === "whole" || kind === "number" ? "number" : "text";
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.join(",");
  return value === "" ? "none" : String(value);
}

function withoutStop(text: string): string {
  return text.replace(/\.$/, "");
}

import type { Row } from "./table.ts";
import { TABLE } from "./table.ts";

/** `docs/configuration.md`: the tables, between a beginning and an end that say how to use them. */
export function writeConfigurationDoc(): string {
  const groups = [
    { key: "", about: "", title: "Top level" },
    ...TABLE.sections.map((section) => ({ ...section, title: `\`${section.key}\`` })),
  ];
  const tables = groups.map(({ key, about, title }) => {
    const rows = TABLE.rows.filter((row) => row.path.slice(0, -1).join(".") === key);
    if (rows.length === 0) return `## ${title}\n\n${about}\n`;
    const lines = rows.map((row) => `| ${cells(row).join(" | ")} |`);
    return [
      `## ${title}\n`,
      ...(about === "" ? [] : [`${about}\n`]),
      "| key | value | default | variable | flag | live | meaning |",
      "| --- | --- | --- | --- | --- | --- | --- |",
      ...lines,
      "",
    ].join("\n");
  });
  return `${[BEGINNING, ...tables].join("\n").trimEnd()}\n`;
}

/** A file with every key at its default: to be shortened to what differs. */
export function writeSampleFile(): string {
  const lines = [
    "# Hearth's settings, each at its default. Every key is optional: keep the ones that you change.",
    "# Written by `npm run docs` from the schema; docs/configuration.md says more.",
    "",
  ];
  let open: readonly string[] = [];
  for (const row of TABLE.rows) {
    const parents = row.path.slice(0, -1);
    for (let depth = 1; depth <= parents.length; depth += 1) {
      const key = parents.slice(0, depth).join(".");
      if (open.slice(0, depth).join(".") !== key) lines.push(...sectionLines(key, depth));
    }
    if (parents.length === 0 && open.length > 0) lines.push("");
    open = parents;
    const indent = "  ".repeat(parents.length);
    const unit = row.unit === undefined ? "" : ` (${row.unit})`;
    const fallback = row.defaultText === undefined ? "" : ` Default: ${row.defaultText}.`;
    lines.push(`${indent}# ${row.about}${unit}${fallback}`);
    lines.push(`${indent}${row.path.at(-1)}: ${JSON.stringify(row.fallback)}`);
  }
  return `${lines.join("\n")}\n`;
}

function sectionLines(key: string, depth: number): string[] {
  const indent = "  ".repeat(depth - 1);
  const about = TABLE.sections.find((section) => section.key === key)?.about ?? "";
  return [...(depth === 1 ? [""] : []), `${indent}# ${about}`, `${indent}${key.split(".").at(-1)}:`];
}

function cells(row: Row): string[] {
  const value = row.unit === undefined ? row.expects : `${row.expects}, in ${row.unit}`;
  return [
    `\`${row.path.at(-1)}\``,
    value,
    row.defaultText ?? `\`${JSON.stringify(row.fallback)}\``,
    [row.env, ...(row.otherEnv ?? [])]
      .filter((name) => name !== undefined)
      .map((name) => `\`${name}\``)
      .join(", "),
    row.flag === undefined ? "" : `\`${row.flag}\``,
    row.isLive === true ? "yes" : "",
    row.about.replaceAll("|", "\\|"),
  ];
}

const BEGINNING = `# Configuration

<!-- Written by \`npm run docs\` from src/config/schema.ts. -->

Hearth runs without any configuration. What there is comes from four places; a flag is stronger than a variable, a variable than
the file, the file than the default. \`hearth config show --origin\` prints each value with the place it came from.

**The file** is YAML. One file is read: what \`--config\` (or \`-config\`) names, else \`$HEARTH_CONFIG\`, else the first of
\`/app/mecanywhere_executor.yaml\`, \`/app/meca_executor.yaml\`, \`./hearth.yaml\`, \`$XDG_CONFIG_HOME/hearth/config.yaml\`,
\`/etc/hearth/config.yaml\` that exists; \`hearth config path\` says which. A file with a fault stops the start, and every fault is
named with its line:

    hearth.yaml:3:6: cpu: expected a number above 0 up to 4096 (cores), found "four"
    hearth.yaml:7:3: http.prot: there is no such setting; did you mean http.port?

A key without a value counts as not given. Relative paths in a file begin at the file's folder.

**Variables** are \`HEARTH_\` and the key in capitals, with \`_\` for dots; lists take commas. An empty variable counts as not given.
A token can lie in a file: \`HEARTH_HTTP_TOKEN_FILE\`.

**Flags** of \`hearth serve\` are the key in small letters with \`-\`, such as \`--http-port 2600\`.

**Live** settings change while the daemon runs: \`hearth config set cpu=2 timeout=5\`, \`PATCH /v1/config\`, or the contract's
\`/update-config\`. A change is judged as a whole and applied as a whole, or refused with every fault. It lasts until the daemon
ends; the file stays the truth.

\`cpu\` and \`mem\` are clamped to the host: its cores, and 80 % of its memory (inside a container with limits, the container's).
`;

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import type { MetricRow } from "../../src/telemetry/metrics/index.ts";
import { METRICS, QUEUE_METRICS } from "../../src/telemetry/metrics/index.ts";
import { INDEXIFY_METRICS } from "../../src/telemetry/metrics/indexify/indexify-table.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url));
const read = (name: string): string => readFileSync(path(name), "utf8");
const hasPromtool = spawnSync("promtool", ["--version"]).error === undefined;
if (!hasPromtool && process.env["CI"] !== undefined) throw new Error("promtool is missing");

/** Those whose names are our own. */
const OURS: Readonly<Record<string, MetricRow>> = { ...METRICS, ...QUEUE_METRICS };

/** Names as they are scraped: a histogram has three. */
const SCRAPED = new Map(
  Object.entries<MetricRow>({ ...OURS, ...INDEXIFY_METRICS }).flatMap(([name, row]): [string, MetricRow][] =>
    row.type === "histogram"
      ? ["_bucket", "_sum", "_count"].map((part) => [`${name}${part}`, row])
      : [[name, row]],
  ),
);

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

const dashboard = JSON.parse(read("grafana/hearth.json")) as Dashboard;
const rules = (parse(read("prometheus/hearth.rules.yml")) as Rules).groups.flatMap((group) => group.rules);
const expressions = [
  ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...rules.map(({ expr }) => expr),
];

test("what the dashboard and the alerts ask for are metrics of ours, by labels that they have", () => {
  expect(expressions.length).toBeGreaterThan(40);
  for (const expr of expressions) {
    const words = expr.replaceAll(/"[^"]*"/g, "").match(/\b[a-z]\w*/g) ?? [];
    const names = words.filter((word) => /^(?:hearth|process|nodejs)_/.test(word) || SCRAPED.has(word));
    if (!expr.startsWith("up{")) expect(names, expr).not.toEqual([]);
    for (const name of names) expect([...SCRAPED.keys()], expr).toContain(name);
    const known = new Set([
      ...names.flatMap((name) => SCRAPED.get(name)?.labels ?? []),
      ...["instance", "job", "le"],
    ]);
    const asked = [
      ...[...expr.matchAll(/[{,]\s*(\w+)=~?"/g)].map(([, label]) => label ?? ""),
      ...[...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => (list ?? "").split(/,\s*/)),
    ];
    expect(
      asked.filter((label) => !known.has(label)),
      expr,
    ).toEqual([]);
  }
});

test("every metric of ours is on the dashboard, in an alert, or a plain fact", () => {
  const facts = new Set([
    "hearth_build_info",
    "hearth_isolation_usable",
    "hearth_sandbox_start_errors_total",
    "hearth_host_cpu_cores",
  ]);
  const all = expressions.join("\n");
  const missing = Object.keys(OURS).filter(
    (name) => name.startsWith("hearth_") && !facts.has(name) && !new RegExp(`\\b${name}`).test(all),
  );
  expect(missing).toEqual([]);
});

test("every panel of the dashboard has its own number, a title and a legend for each line", () => {
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { type, title, targets } of dashboard.panels) {
    expect(title).not.toBe("");
    if (type === "row") continue;
    expect(targets?.every(({ legendFormat }) => legendFormat !== "")).toBe(true);
  }
});

test.skipIf(!hasPromtool)(
  "X4: promtool finds no fault in the alerts, nor in what the dashboard asks for",
  () => {
    const run = spawnSync("promtool", ["check", "rules", path("prometheus/hearth.rules.yml")], {
      encoding: "utf8",
    });
    expect({ status: run.status, stderr: run.stderr }).toEqual({ status: 0, stderr: "" });
    expect(run.stdout).toContain(`${rules.length} rules found`);
    // A rule that only records is how promtool reads an expression; Grafana fills its own words in before.
    const recorded = {
      groups: [
        {
          name: "dashboard",
          rules: expressions.map((expr, at) => ({
            record: `panel:${at}`,
            expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".*"),
          })),
        },
      ],
    };
    const folder = mkdtempSync(join(tmpdir(), "hearth-rules-"));
    const file = join(folder, "dashboard.yml");
    writeFileSync(file, JSON.stringify(recorded));
    const asked = spawnSync("promtool", ["check", "rules", file], { encoding: "utf8" });
    rmSync(folder, { recursive: true });
    expect({ status: asked.status, stderr: asked.stderr }).toEqual({ status: 0, stderr: "" });
  },
);

/** A figure that is bad from the tenth minute on. */
const BAD = {
  HearthJobQueueAway: ["hearth_queue_up", "1x9 0x20"],
  HearthJobQueueEmptied: ["hearth_queue_emptied_total", "0x9 1x20"],
  HearthJobsLost: ["hearth_queue_lost_total", "0x9 1x20"],
  HearthJobsVanished: ["hearth_queue_vanished_total", "0x9 2x20"],
  HearthJobsPutAside: ["hearth_queue_dead_lettered_total", "0x9 3x20"],
  HearthIndexifyAway: ["healthy", "1x9 0x20"],
} as const;

test.skipIf(!hasPromtool)("each fault of a queue or of an Indexify server is told by its own alert", () => {
  const firing = 'count by (alertname) (ALERTS{alertstate="firing"})';
  const tests = Object.entries(BAD).map(([alert, [name, values]]) => ({
    interval: "1m",
    input_series: [{ series: `${name}{instance="a",job="hearth"}`, values }],
    promql_expr_test: [
      { expr: firing, eval_time: "9m", exp_samples: [] },
      { expr: firing, eval_time: "14m", exp_samples: [{ labels: `{alertname="${alert}"}`, value: 1 }] },
    ],
  }));
  const folder = mkdtempSync(join(tmpdir(), "hearth-alerts-"));
  const file = join(folder, "alerts.yml");
  const asked = { rule_files: [path("prometheus/hearth.rules.yml")], evaluation_interval: "1m", tests };
  writeFileSync(file, JSON.stringify(asked));
  const run = spawnSync("promtool", ["test", "rules", file], { encoding: "utf8" });
  rmSync(folder, { recursive: true });
  expect({ status: run.status, said: run.status === 0 ? "" : run.stdout + run.stderr }).toEqual({
    status: 0,
    said: "",
  });
});

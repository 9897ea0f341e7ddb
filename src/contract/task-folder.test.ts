import { describe, expect, test } from "vitest";
import { parseTaskFolder } from "./task-folder.ts";

const faultsOf = (task: unknown): readonly string[] => {
  const parsed = parseTaskFolder(typeof task === "string" ? task : JSON.stringify(task));
  return parsed.isValid ? [] : parsed.faults;
};

describe("task.json", () => {
  test("a minimal one gets its defaults", () => {
    const parsed = parseTaskFolder('{"id":"echo","command":["node","server.mjs"]}');
    expect(parsed).toEqual({
      isValid: true,
      task: { id: "echo", mode: "call", command: ["node", "server.mjs"], ready: "mark", env: {} },
    });
  });

  test.each(["echo", "hearth/echo:latest", "10charslong:latest", "_x", "a@sha256:0f", "host:5000/x:1"])(
    "%s is an id",
    (id) => {
      expect(faultsOf({ id, command: ["x"] })).toEqual([]);
    },
  );

  test.each(["", ".hidden", "-rf", "a//b", "../up", "a/../b", "a b", "a\n", "x".repeat(300)])(
    "%j is no id",
    (id) => {
      expect(faultsOf({ id, command: ["x"] })[0]).toMatch(/^id: /);
    },
  );

  test("every fault is told at once, each by its member's name", () => {
    const faults = faultsOf({
      id: "x",
      command: [],
      redy: "port",
      resources: { mem: 1.5 },
      env: { PORT: "1" },
    });
    expect(faults.join("\n")).toMatch(/command: must name a program/);
    expect(faults.join("\n")).toMatch(/resources\.mem: /);
    expect(faults.join("\n")).toMatch(/redy/);
    expect(faults.join("\n")).toMatch(/env\.PORT: /);
  });

  test("a folder for jobs needs no command, and has none", () => {
    const parsed = parseTaskFolder('{"id":"solver","mode":"job"}');
    expect(parsed).toMatchObject({ isValid: true, task: { mode: "job", command: [] } });
    expect(faultsOf({ id: "solver", mode: "job", command: ["node"] })[0]).toMatch(/^command: /);
    expect(faultsOf({ id: "solver", mode: "jobs" })[0]).toMatch(/^mode: /);
    expect(faultsOf({ id: "solver" })).toEqual(["command: must name a program"]);
  });

  test("what is not JSON says so", () => {
    expect(faultsOf("{id: echo}")[0]).toMatch(/^it is not JSON: /);
    expect(faultsOf("[]")[0]).toMatch(/^the file: /);
  });
});

import { describe, expect, test } from "vitest";
import { eventOf, parseEvent } from "./events.ts";
import { parseImagesFile } from "./images-file.ts";
import { commandOf, DEFAULT_METHODS, parseMethods } from "./methods.ts";
import { registrationResponse } from "./registration.ts";
import { readRequestEntry, writeRequestEntry } from "./request-entry.ts";
import { formatTimestamp } from "./timestamp.ts";

const ENTRY = {
  id: "k2p9",
  task_dir: "users/7/k2p9",
  executer_type: "gromacs",
  method: "md.gromacs.run_simulation",
};

describe("events", () => {
  test("the contract's own examples are read", () => {
    const started = parseEvent({
      type: "TaskStarted",
      json: '{"timestamp":"2023-08-04T15:02:12.123456+00:00","id":"k2p9","status":"started","executer_id":"9f0c2d6e-1111-4222-8333-444455556666"}',
    });
    expect(started).toMatchObject({ type: "TaskStarted", json: { id: "k2p9" } });
    const completed = parseEvent({
      type: "TaskCompleted",
      json: '{"timestamp":"2023-08-04T15:09:40.000001+00:00","id":"k2p9","status":"success"}',
    });
    expect(completed).toMatchObject({ type: "TaskCompleted", json: { status: "success" } });
  });

  test("what we write is what is read, with the members that we add", () => {
    const { type, json } = eventOf("TaskCompleted", {
      timestamp: formatTimestamp(1_691_161_780_000),
      id: "k2p9",
      status: "failed",
      detail: "exit code 2",
      exit_code: 2,
      oom: false,
      attempt: 3,
      host: "a",
    });
    expect(parseEvent({ type, json: JSON.stringify(json) })).toEqual({ type, json });
  });

  test.each([
    ["a type nobody knows", "TaskPondered", "{}"],
    ["a name of every object", "constructor", "{}"],
    ["JSON that is cut", "TaskKilled", '{"timestamp":'],
    [
      "a status of another event",
      "TaskKilled",
      '{"timestamp":"2023-08-04T15:02:12.123456+00:00","id":"a","status":"success"}',
    ],
    [
      "a timestamp with Z",
      "TaskKilled",
      '{"timestamp":"2023-08-04T15:02:12.123456Z","id":"a","status":"killed"}',
    ],
    [
      "an executer whose id is no UUID of version 4",
      "ExecuterTerminated",
      '{"timestamp":"2023-08-04T15:02:12.123456+00:00","uuid":"9f0c2d6e-1111-1222-8333-444455556666","reason":"error","detail":null,"stopped_tasks":[]}',
    ],
  ])("%s is no event", (_, type, json) => {
    expect(parseEvent({ type, json })).toBeUndefined();
  });

  test("a timestamp has six digits of a second and its offset", () => {
    expect(formatTimestamp(1_691_161_332_123.456)).toBe("2023-08-04T15:02:12.123456+00:00");
    expect(formatTimestamp(0)).toBe("1970-01-01T00:00:00.000000+00:00");
  });
});

describe("entries", () => {
  test("the contract's own example is read, and unknown fields are passed over", () => {
    const reading = readRequestEntry({ ...ENTRY, colour: "red", time_to_live_seconds: "1.5" });
    expect(reading).toEqual({ type: "request", request: { ...ENTRY, time_to_live_seconds: 1.5 } });
  });

  test("what is written is read again", () => {
    for (const request of [ENTRY, { ...ENTRY, time_to_live_seconds: 7 }]) {
      expect(readRequestEntry(writeRequestEntry(request))).toEqual({ type: "request", request });
    }
  });

  test.each(["task_dir", "method", "executer_type"] as const)(
    "D23: without %s the job fails by name",
    (field) => {
      const { [field]: _, ...rest } = ENTRY;
      expect(readRequestEntry(rest)).toEqual({
        type: "faulty",
        reason: `the entry has no ${field}`,
        taskDir: field === "task_dir" ? undefined : ENTRY.task_dir,
      });
    },
  );

  test.each(["..", "a/b", "/abs", "a..b", "", "-rf", "$(x)", "a\nb", "a\0b", "ü", "a".repeat(129), "%2e%2e"])(
    "D23: the id %j is nobody's",
    (id) => {
      expect(readRequestEntry({ ...ENTRY, id })).toMatchObject({ type: "nameless" });
    },
  );

  test.each(["..", "../x", "/abs", "a//b", "a/../b", "a/", "a/./b", "a\\b", "a/\0", "a/".repeat(40)])(
    "D23: the folder %j is refused",
    (folder) => {
      expect(readRequestEntry({ ...ENTRY, task_dir: folder })).toMatchObject({
        type: "faulty",
        taskDir: undefined,
      });
    },
  );

  test.each(["0", "-1", "NaN", "1e9", "soon", "", "99999999999"])(
    "a life of %j seconds is refused",
    (life) => {
      expect(readRequestEntry({ ...ENTRY, time_to_live_seconds: life })).toMatchObject({
        type: "faulty",
        taskDir: ENTRY.task_dir,
      });
    },
  );
});

describe("the images file", () => {
  test("I3: both forms are one", () => {
    const both = parseImagesFile(
      '{"gromacs": "gromacs:1", "swash": {"image": "swash:9"}, "dsph": {"image": "d", "gpu": true}}',
    );
    expect(both.isValid && [...both.types]).toEqual([
      ["gromacs", { image: "gromacs:1", gpu: false, env: {} }],
      ["swash", { image: "swash:9", gpu: false, env: {} }],
      ["dsph", { image: "d", gpu: true, env: {} }],
    ]);
  });

  test("D16: what a type's jobs get is said with the type", () => {
    const row = {
      image: "a",
      gpu: 2,
      gpu_memory: 1024,
      cpus: 1.5,
      memory: 512,
      pids: 64,
      network: "none",
      isolation: "gvisor",
      user: "1000:1000",
      env: { OMP_NUM_THREADS: "2" },
      time_limit_s: 60,
    };
    const parsed = parseImagesFile(JSON.stringify({ a: row }));
    expect(parsed.isValid && parsed.types.get("a")).toEqual(row);
  });

  test.each([
    ["{}", "it names no executer type"],
    ["[]", "it must be an object"],
    ["{", "it is not JSON"],
    ['{"a": 5}', "a: "],
    ['{"a": {"image": 5}}', "a.image: must be an image's name"],
    ['{"a": {"gpu": true}}', "a.image: must be an image's name"],
    ['{"a": {"image": "x", "gpu": "yes"}}', "a.gpu: "],
    ['{"a": {"image": "x", "memroy": 5}}', "a: "],
    ['{"a/b": "x"}', "a/b: an executer type is"],
    ['{"a": "x y"}', "a.image: "],
    ['{"a": {"image": "x", "env": {"B-C": "1"}}}', "a.env."],
  ])("I3: %s is refused with the key's name", (source, start) => {
    const parsed = parseImagesFile(source);
    expect(!parsed.isValid && parsed.faults.some((fault) => fault.startsWith(start))).toBe(true);
  });
});

describe("methods", () => {
  test("the contract's table is what there is by default", () => {
    expect(commandOf(DEFAULT_METHODS, "math.sum")).toEqual(["python", "/scripts/sum.py"]);
    expect(commandOf(DEFAULT_METHODS, "windtunnel.openfoam.run_simulation")).toEqual([
      "python",
      "/scripts/windtunnel_simulation.py",
    ]);
    expect(commandOf(DEFAULT_METHODS, "cupy.linalg.eigs")).toBeUndefined();
    expect(commandOf(DEFAULT_METHODS, "toString")).toBeUndefined();
  });

  test("a table of one's own holds scripts and whole commands", () => {
    const parsed = parseMethods('{"a.b": "/scripts/a.py --fast", "c": ["/bin/sh", "-c", "echo a b"]}');
    if (!parsed.isValid) throw new Error(parsed.faults.join());
    expect(commandOf(parsed.methods, "a.b")).toEqual(["python", "/scripts/a.py", "--fast"]);
    expect(commandOf(parsed.methods, "c")).toEqual(["/bin/sh", "-c", "echo a b"]);
  });

  test.each(["{", "[]", '{"a": 5}', '{"a": []}', '{"a": [""]}', '{"a b": "x"}', '{"a": "\\u0000"}'])(
    "%s is refused",
    (source) => {
      expect(parseMethods(source).isValid).toBe(false);
    },
  );
});

test("a registration whose id is no UUID of version 4, or that names no stream, is refused", () => {
  const right = {
    uuid: "9f0c2d6e-1111-4222-8333-444455556666",
    redis_streams: ["gromacs_requests"],
    redis_consumer_group: "all_consumers",
    redis_consumer_name: "9f0c",
  };
  expect(registrationResponse.safeParse(right).success).toBe(true);
  for (const wrong of [
    { uuid: "9f0c2d6e-1111-1222-8333-444455556666" },
    { redis_streams: [] },
    { redis_streams: "gromacs_requests" },
    { redis_consumer_name: undefined },
  ]) {
    expect(registrationResponse.safeParse({ ...right, ...wrong }).success).toBe(false);
  }
});

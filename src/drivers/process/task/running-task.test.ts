import { expect, test } from "vitest";
import type { LaunchedTask } from "./launch.ts";
import { RunningTask } from "./running-task.ts";
import { TaskProcesses } from "./task-processes.ts";

/** A task without a cgroup whose processes end with `end`; this very process stands in for them while it runs. */
function taskWithoutCgroup(): { readonly task: RunningTask; end(): void } {
  let end = (): void => undefined;
  const exited = new Promise<{ readonly type: "exited"; readonly exitCode: number }>((resolve) => {
    end = () => resolve({ type: "exited", exitCode: 0 });
  });
  let own = [process.pid];
  const processes = new TaskProcesses({
    ...{ leader: 2 ** 30, startTicks: 1, cgroup: undefined, freezesByCgroup: false },
    group: () => undefined,
    strays: () => own,
  });
  const launched = { exited, isFirst: true, drained: Promise.resolve(), closeOutput: () => undefined };
  const task = new RunningTask({
    launched: launched as unknown as LaunchedTask,
    processes,
    memoryBytes: 1,
    release: () => Promise.resolve(),
  });
  return {
    task,
    end: () => {
      own = [];
      end();
    },
  };
}

test("where no cgroup keeps count, what an ended task used is not said to be nothing", async () => {
  const { task, end } = taskWithoutCgroup();
  end();
  await task.ended;
  expect(task.lastUsage()).toMatchObject({ isEarlier: true });
});

test("there, what was seen before the end is said to be from before", async () => {
  const { task, end } = taskWithoutCgroup();
  const seen = task.lastUsage();
  expect(seen).not.toHaveProperty("isEarlier");
  end();
  await task.ended;
  expect(task.lastUsage()).toEqual({ ...seen, isEarlier: true });
});

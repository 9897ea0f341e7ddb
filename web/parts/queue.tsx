import type { JSX } from "preact";
import { age, bytes, cores } from "../format.ts";
import { waiting } from "../state/live.ts";
import { Card, Empty } from "./card.tsx";

/** What waits, and why: in the same words as `hearth ps`. */
export function Queue(): JSX.Element {
  const all = waiting.value;
  const callers = all.reduce((sum, { callers: count }) => sum + count, 0);
  return (
    <Card
      title="Waiting"
      about="Calls that have no slot yet and jobs that have no room, by task, and why."
      aside={callers === 0 ? undefined : callers.toLocaleString("en")}
    >
      {all.length === 0 ? (
        <Empty>Nothing waits. Calls and jobs that cannot run at once stand here, with the reason.</Empty>
      ) : (
        <ul class="queue">
          {all.map(({ taskKey, image, callers: count, waitedMs, reason, resources, jobIds }) => (
            <li key={`${jobIds === undefined ? "call" : "job"} ${taskKey}`}>
              <b class="name">{image}</b>
              <span class="num">
                {counted(count, jobIds === undefined ? "call" : "job")}, {age(waitedMs)}
              </span>
              <p>{reason}</p>
              <small>
                wants {cores(resources.cpuMillis)} cores, {bytes(resources.memoryBytes)}
                {resources.gpuCount > 0 ? `, ${resources.gpuCount} GPUs` : ""}
              </small>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function counted(count: number, what: "call" | "job"): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

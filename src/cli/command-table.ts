import type { Command, CommandGroup } from "./command.ts";
import { answer } from "./commands/answer.ts";
import { apiCommand } from "./commands/api.ts";
import { attest } from "./commands/attest.ts";
import { call } from "./commands/call.ts";
import { configGet } from "./commands/config-get.ts";
import { configPath } from "./commands/config-path.ts";
import { configSet } from "./commands/config-set.ts";
import { configShow } from "./commands/config-show.ts";
import { doctor } from "./commands/doctor.ts";
import { events } from "./commands/events.ts";
import { evict } from "./commands/evict.ts";
import { explain } from "./commands/explain.ts";
import { fleet } from "./commands/fleet.ts";
import { indexifyCommand } from "./commands/indexify.ts";
import { logs } from "./commands/logs.ts";
import { openapi } from "./commands/openapi.ts";
import { pause } from "./commands/pause.ts";
import { prefetch } from "./commands/prefetch.ts";
import { ps } from "./commands/ps.ts";
import { queueDead } from "./commands/queue-dead.ts";
import { queueList } from "./commands/queue-list.ts";
import { queueReplay } from "./commands/queue-replay.ts";
import { receiptsExport } from "./commands/receipts-export.ts";
import { receiptsKey } from "./commands/receipts-key.ts";
import { runs } from "./commands/runs.ts";
import { runsShow } from "./commands/runs-show.ts";
import { serveCommand } from "./commands/serve.ts";
import { sessionEnd } from "./commands/session-end.ts";
import { sessionList } from "./commands/session-list.ts";
import { stats } from "./commands/stats.ts";
import { submit } from "./commands/submit.ts";
import { taskList } from "./commands/task-list.ts";
import { taskNew } from "./commands/task-new.ts";
import { top } from "./commands/top.ts";
import { unpause } from "./commands/unpause.ts";
import { verify } from "./commands/verify.ts";
import type { SettingFlag } from "./parts.ts";

/** Every verb, in the order of the help. The settings are only needed for `serve` and its help. */
export function commandTable(settings: readonly SettingFlag[]): readonly (Command | CommandGroup)[] {
  return [
    serveCommand(settings),
    call,
    attest,
    explain,
    answer,
    {
      name: "runs",
      summary: runs.summary,
      own: runs,
      commands: [runsShow],
    },
    {
      name: "receipts",
      summary: "export the signed record of all runs, and its public key",
      commands: [receiptsExport, receiptsKey],
    },
    verify,
    ps,
    top,
    stats,
    logs,
    events,
    pause,
    unpause,
    evict,
    prefetch,
    {
      name: "config",
      summary: "read and change settings",
      commands: [configGet, configSet, configShow, configPath],
    },
    {
      name: "session",
      summary: "list and end the sessions that keep sandboxes",
      commands: [sessionList, sessionEnd],
    },
    apiCommand(settings),
    indexifyCommand(settings),
    submit,
    {
      name: "queue",
      summary: "look at the queue of jobs, and put dead jobs back",
      commands: [queueList, queueDead, queueReplay],
    },
    fleet,
    { name: "task", summary: "make and list task folders", commands: [taskNew, taskList] },
    doctor,
    openapi,
  ];
}

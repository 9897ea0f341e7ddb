import type {
  MethodTypes,
  RegistrationRequest,
  TrackerEvent,
} from "../../contract/executer-tracker/index.ts";
import { executerTypeOf, STOPPED_STATUS } from "../../contract/executer-tracker/index.ts";
import type { BookChange, BookedExecuter, BookedTask } from "../../core/index.ts";
import { isSafeKey, isSafeSegment } from "../../core/index.ts";

/** What an event changes in the book. Most change one task; an executer that ends may change several. */
export function changesOf(event: TrackerEvent, methods: MethodTypes): readonly BookChange[] {
  switch (event.type) {
    case "TaskCreated": {
      const task = createdTask(event.json, methods);
      return task === undefined ? [] : [{ type: "create", task }];
    }
    case "TaskInputUploaded":
      return news(event.json.id, { type: "input", at: event.json.timestamp });
    case "TaskStarted": {
      const { id, timestamp: at, executer_id: executerId } = event.json;
      return news(id, { type: "started", at, executerId });
    }
    case "TaskKillRequested":
      return news(event.json.id, { type: "kill-asked" });
    case "TaskKilled":
    case "TaskCompleted": {
      const { id, timestamp: at, status, detail, exit_code: exitCode } = event.json;
      return news(id, {
        type: "ended",
        at,
        status,
        detail: detail ?? undefined,
        exitCode: exitCode ?? undefined,
      });
    }
    case "ExecuterCreated":
      return [{ type: "executer", executer: executerOf(event.json.uuid, event.json.executer_info) }];
    case "ExecuterTerminated": {
      const { timestamp: at, reason, stopped_tasks: stopped, detail } = event.json;
      const status = STOPPED_STATUS[reason];
      return stopped.flatMap((id) => news(id, { type: "ended", at, status, detail: detail ?? undefined }));
    }
    case "ResourcePoolCreated":
      return [{ type: "pool", uuid: event.json.uuid }];
  }
}

/** An executer as it registered. */
export function executerOf(uuid: string, info: RegistrationRequest): BookedExecuter {
  const host = info.host_info;
  return {
    uuid,
    cpuCountLogical: info.cpu_count_logical,
    cpuCountPhysical: info.cpu_count_physical,
    memoryBytes: info.memory,
    hostType: host.host_type,
    vmType: host.host_type === "gcloud" ? host.vm_type : undefined,
    vmName: host.host_type === "gcloud" ? host.vm_name : undefined,
  };
}

/** The folder of a task: its user's, then its own. */
export function taskDirOf(userId: number, id: string): string {
  return `${userId}/${id}`;
}

/** A task that another API made, or this one before it lost its book. */
function createdTask(
  event: Extract<TrackerEvent, { type: "TaskCreated" }>["json"],
  methods: MethodTypes,
): BookedTask | undefined {
  const { id, method, timestamp, user_id: userId } = event;
  const taskDir = typeof event["task_dir"] === "string" ? event["task_dir"] : taskDirOf(userId, id);
  // Both become paths: an event is only as good as whoever may write to the stream.
  if (!isSafeSegment(id) || !isSafeKey(taskDir)) return undefined;
  const executerType = event["executer_type"] ?? executerTypeOf(method, methods);
  const pool = event["resource_pool"];
  return newTask({
    id,
    method,
    taskDir,
    executerType: typeof executerType === "string" ? executerType : "",
    pool: typeof pool === "string" ? pool : undefined,
    createTime: timestamp,
  });
}

/** A task as it begins. */
export function newTask(
  known: Pick<BookedTask, "id" | "method" | "taskDir" | "executerType" | "pool" | "createTime">,
): BookedTask {
  return {
    ...known,
    status: "pending-input",
    inputTime: undefined,
    startTime: undefined,
    endTime: undefined,
    entry: undefined,
    executerId: undefined,
    hasShownStart: false,
    exitCode: undefined,
    detail: undefined,
  };
}

function news(id: string, what: Extract<BookChange, { type: "news" }>["news"]): readonly BookChange[] {
  return [{ type: "news", id, news: what }];
}

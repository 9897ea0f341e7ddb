import * as z from "zod";
import { registrationRequest } from "./registration.ts";
import { terminationReason } from "./statuses.ts";
import { timestamp } from "./timestamp.ts";

const id = z.string().min(1);

/**
 * What we add to the end of a task: readers of 2023 pass over fields that they do not know.
 */
const ending = {
  detail: z.string().nullish().describe("A sentence: why it failed or was stopped; null when it succeeded."),
  exit_code: z.int().nullish().describe("Of its command; null when that did not end by itself."),
  oom: z.boolean().optional().describe("Whether it ended for want of memory."),
  attempt: z.int().min(1).optional().describe("Which try this was, over all hosts."),
  host: z.string().optional().describe("The name of the host that it ran on."),
};

/** Every event of the `events` stream by its type: the JSON beside it. Further members are let through. */
export const EVENTS = {
  TaskCreated: z.looseObject({
    timestamp,
    id,
    status: z.literal("pending-input"),
    method: z.string(),
    user_id: z.int(),
  }),
  TaskInputUploaded: z.looseObject({ timestamp, id, status: z.literal("submitted") }),
  TaskStarted: z.looseObject({
    timestamp,
    id,
    status: z.literal("started"),
    executer_id: z.uuid(),
    attempt: ending.attempt,
    host: ending.host,
  }),
  TaskKillRequested: z.looseObject({ timestamp, id, status: z.literal("pending-kill") }),
  TaskKilled: z.looseObject({ timestamp, id, status: z.literal("killed"), ...ending }),
  TaskCompleted: z.looseObject({ timestamp, id, status: z.enum(["success", "failed"]), ...ending }),
  ExecuterCreated: z.looseObject({ timestamp, uuid: z.uuidv4(), executer_info: registrationRequest }),
  ExecuterTerminated: z.looseObject({
    timestamp,
    uuid: z.uuidv4(),
    reason: terminationReason,
    detail: z.string().nullable(),
    stopped_tasks: z.array(z.string()),
  }),
  ResourcePoolCreated: z.looseObject({ timestamp, uuid: z.uuid(), created_by: z.string() }),
} as const;

export type EventType = keyof typeof EVENTS;
export type EventJson<T extends EventType> = z.output<(typeof EVENTS)[T]>;

/** One event as it is known: its type, and the JSON of that type. */
export type TrackerEvent = {
  readonly [T in EventType]: { readonly type: T; readonly json: EventJson<T> };
}[EventType];

/** An event as it is written, checked by its type. */
export function eventOf<T extends EventType>(
  type: T,
  json: z.input<(typeof EVENTS)[T]>,
): { readonly type: T; readonly json: Readonly<Record<string, unknown>> } {
  return { type, json };
}

/** The two fields of an entry of the `events` stream. */
export interface EventFields {
  readonly type?: string | undefined;
  readonly json?: string | undefined;
}

/** Reads one entry; `undefined` for a type that we do not know or JSON that is not of its type. */
export function parseEvent({ type, json }: EventFields): TrackerEvent | undefined {
  if (type === undefined || json === undefined || !Object.hasOwn(EVENTS, type)) return undefined;
  const parsed = EVENTS[type as EventType].safeParse(readJson(json));
  return parsed.success ? ({ type, json: parsed.data } as TrackerEvent) : undefined;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

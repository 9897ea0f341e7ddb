export type { EventFields, EventJson, EventType, TrackerEvent } from "./events.ts";
export { eventOf, parseEvent } from "./events.ts";
export type { ExecuterType, ImagesFile, ParsedImagesFile } from "./images-file.ts";
export { parseImagesFile } from "./images-file.ts";
export type { MethodTypes } from "./method-types.ts";
export { DEFAULT_METHOD_TYPES, executerTypeOf } from "./method-types.ts";
export type { MethodTable, ParsedMethods } from "./methods.ts";
export { commandOf, DEFAULT_METHODS, parseMethods } from "./methods.ts";
export {
  commandKeysOf,
  DEFAULT_GROUP,
  EVENTS_STREAM,
  INPUT_FILE,
  KILL,
  OUTPUT_FILE,
  requestStreamOf,
} from "./names.ts";
export type { HostInfo, Registration, RegistrationRequest } from "./registration.ts";
export { registrationRequest, registrationResponse } from "./registration.ts";
export type { EntryReading, RequestEntry } from "./request-entry.ts";
export { readRequestEntry, writeRequestEntry } from "./request-entry.ts";
export type { TaskStatus, TerminationReason } from "./statuses.ts";
export {
  STOPPED_STATUS,
  taskStatus,
} from "./statuses.ts";
export { formatTimestamp } from "./timestamp.ts";

export type { Looks } from "./looks.ts";
export { looksAtOnce, looksBelow, looksLater } from "./looks.ts";
export { makeFolder } from "./make-folder.ts";
export { keepMode, openNew, openNewSafe, syncFile, writeAll } from "./new-file.ts";

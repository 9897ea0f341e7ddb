/** Open files that a task may hold; its core dumps are never written. */
export const OPEN_FILES = 1024;
/** The kernel takes a task before it takes the daemon when memory runs out on the host. */
export const OOM_SCORE = 300;

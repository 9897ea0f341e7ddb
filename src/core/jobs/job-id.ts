/**
 * What may name a job, a path segment of its artifacts or an executer type: letters, digits, dots, underscores and hyphens,
 * beginning with a letter or digit, at most 128 characters, and no `..`. Everything that becomes part of a path or a key is
 * held against this before a path is built.
 */
const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export function isSafeSegment(text: string): boolean {
  return SEGMENT.test(text) && !text.includes("..");
}

/** The most that a job's folder in the artifact store may be deep, and long. */
const KEY_DEPTH = 32;
const KEY_LENGTH = 1024;

/** Whether this is a relative path of safe segments, such as `users/7/k2p9`. */
export function isSafeKey(text: string): boolean {
  const segments = text.split("/");
  return text.length <= KEY_LENGTH && segments.length <= KEY_DEPTH && segments.every(isSafeSegment);
}

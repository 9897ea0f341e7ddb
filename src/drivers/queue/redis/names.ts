import { createHash } from "node:crypto";

/** The names of our keys on one server, or within one hash slot of a cluster. */
export interface Place {
  /** Begins every key of ours there. */
  readonly prefix: string;
  /** The streams of jobs that are in this place. */
  readonly streams: readonly string[];
}

/**
 * What Redis Cluster hashes of a key: what stands between the first `{` and the next `}`, if anything does, else all of it
 * (Redis Cluster specification, "Hash tags").
 */
export function hashTag(key: string): string {
  const open = key.indexOf("{");
  const close = open === -1 ? -1 : key.indexOf("}", open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}

/** Our keys beside those of others whose names the contract fixes: in a cluster a stream's keys share its slot. */
export function placesOf(streams: readonly string[], prefix: string, isCluster: boolean): readonly Place[] {
  if (!isCluster) return [{ prefix, streams }];
  const byTag = new Map<string, string[]>();
  for (const stream of streams) {
    const tag = hashTag(stream);
    byTag.set(tag, [...(byTag.get(tag) ?? []), stream]);
  }
  return [...byTag].map(([tag, own]) => ({ prefix: tagged(prefix, tag), streams: own }));
}

/** The prefix of keys that share the slot of whatever has this tag. */
export function tagged(prefix: string, tag: string): string {
  return `${prefix}{${tag}}:`;
}

/** Makes ids of entries without one unlike those of another stream. */
export function streamSuffix(stream: string): string {
  return createHash("sha256").update(stream).digest("hex").slice(0, 8);
}

/** Both lists that a job's commands may come by: the name flipped between the two in 2023. */
export function commandKeys(jobId: string): readonly string[] {
  return [`task:${jobId}:commands`, `task:${jobId}:events`];
}

/** One entry, as a key of a map. */
export function nameOf(claim: { readonly stream: string; readonly entryId: string }): string {
  return `${claim.stream} ${claim.entryId}`;
}

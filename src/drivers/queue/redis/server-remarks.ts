/** What a server that evicts keys does to jobs, for people; nothing for one that keeps everything, or does not tell. From INFO's text. */
export function evictionIn(info: string): string | undefined {
  const policy = factsOf(info).get("maxmemory_policy");
  if (policy === undefined || policy === "noeviction") return undefined;
  return `maxmemory-policy is ${policy}: who holds what may be thrown away; set it to noeviction`;
}

/** What of Redis's own settings can lose jobs; from the text that INFO gives. Nothing for a setting that it does not tell. */
export function serverRemarks(
  info: string,
  { allowsEviction }: { allowsEviction: boolean },
): readonly string[] {
  const remarks: string[] = [];
  // Where it is not allowed it is no remark: nothing is taken from there.
  const eviction = allowsEviction ? evictionIn(info) : undefined;
  if (eviction !== undefined) remarks.push(eviction);
  if (factsOf(info).get("aof_enabled") === "0") {
    remarks.push("appendonly is off: a restart loses what came in since the last snapshot");
  }
  return remarks;
}

function factsOf(info: string): ReadonlyMap<string, string> {
  return new Map(
    info.split(/\r?\n/).flatMap((line): [string, string][] => {
      const at = line.indexOf(":");
      return at === -1 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
    }),
  );
}

/** What of Redis's own settings can lose jobs; from the text that INFO gives. Nothing for a setting that it does not tell. */
export function serverRemarks(info: string): readonly string[] {
  const facts = new Map(
    info.split(/\r?\n/).flatMap((line): [string, string][] => {
      const at = line.indexOf(":");
      return at === -1 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
    }),
  );
  const remarks: string[] = [];
  const policy = facts.get("maxmemory_policy");
  if (policy !== undefined && policy !== "noeviction") {
    remarks.push(`maxmemory-policy is ${policy}: who holds what may be thrown away; set it to noeviction`);
  }
  if (facts.get("aof_enabled") === "0") {
    remarks.push("appendonly is off: a restart loses what came in since the last snapshot");
  }
  return remarks;
}

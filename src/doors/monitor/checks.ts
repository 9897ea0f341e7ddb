/** One thing that the daemon needs, and whether it is well. */
export interface Check {
  readonly name: string;
  /** What is wrong, as a sentence; `undefined` when nothing is. */
  readonly trouble: string | undefined;
}

/**
 * The body of `/monitoring/health`, its keys in the order of the contract (`contracts/indexify.md` section 9.1). The checker has the
 * name that the Python executor gives: its tests compare the whole object, and the Rust ones do not read the name.
 */
export function healthBody(checks: readonly Check[]): { readonly isOk: boolean; readonly body: string } {
  const troubles = checks.flatMap(({ name, trouble }) =>
    trouble === undefined ? [] : [`${name}: ${trouble}`],
  );
  const isOk = troubles.length === 0;
  const body = {
    status: isOk ? "ok" : "nok",
    message: isOk ? "Successful" : troubles.join("; "),
    checker: "GenericHealthChecker",
  };
  return { isOk, body: JSON.stringify(body) };
}

/** The body of `/livez` and its like, as Kubernetes' own servers answer: one word, or with `verbose` a line for each check. */
export function probeBody(
  name: string,
  checks: readonly Check[],
  isVerbose: boolean,
): { readonly isOk: boolean; readonly body: string } {
  const isOk = checks.every(({ trouble }) => trouble === undefined);
  if (isOk && !isVerbose) return { isOk, body: "ok" };
  const lines = checks.map((check) =>
    check.trouble === undefined ? `[+]${check.name} ok` : `[-]${check.name} failed: ${check.trouble}`,
  );
  return { isOk, body: [...lines, `${name} check ${isOk ? "passed" : "failed"}`, ""].join("\n") };
}

import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";

/** Where and of what the figures are; a load average far above 0 at the start means that others used the machine too. */
export function describeMachine(): Readonly<Record<string, string | number>> {
  const [load = 0] = loadavg();
  return {
    commit: commit(),
    date: new Date().toISOString(),
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? "unknown",
    memory_gib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    load_before: Math.round(load * 100) / 100,
  };
}

function commit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], {
      encoding: "utf8",
      stdio: "pipe",
    }).trim();
  } catch {
    // A copy without its history.
    return "unknown";
  }
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { whyNotMade, withDeadline } from "../../../std/index.ts";

/** Each step takes milliseconds; a kernel that is taking many networks apart lets others wait. */
const DEADLINE_MS = 5000;
const SAID_CHARACTERS = 500;

/**
 * Carries out a list of `ip` commands in one process. It has a deadline of its own and no caller's signal: a list that is begun is
 * ended, so that what was made is known.
 *
 * @param options of `ip` itself, before the list.
 * @throws Error with what `ip` said.
 */
export async function runIp(
  ip: string,
  options: readonly string[],
  commands: readonly string[],
): Promise<void> {
  await withDeadline({ ms: DEADLINE_MS, code: "ENGINE_FAILED" }, async (signal) => {
    const child = spawn(ip, [...options, "-batch", "-"], {
      env: {},
      stdio: ["pipe", "ignore", "pipe"],
      signal,
      killSignal: "SIGKILL",
    });
    if (child.pid === undefined) throw await whyNotMade(child);
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString("utf8")).slice(-SAID_CHARACTERS);
    });
    // One that ends early does not read the rest, and says why in another way.
    child.stdin.on("error", () => undefined);
    child.stdin.end(commands.map((command) => `${command}\n`).join(""));
    const [code] = (await once(child, "close", { signal })) as [number | null];
    if (code !== 0) throw new Error(said.trim().split("\n")[0] || `ip ended with code ${code}`);
  });
}

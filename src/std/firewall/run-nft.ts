import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { basename, join } from "node:path";
import { withDeadline } from "../deadline.ts";
import { whyNotMade } from "../why-not-made.ts";

const PLACES = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
/** A run takes some 10 ms; a kernel that takes many networks apart lets others wait. */
const DEADLINE_MS = 5000;
const SAID_CHARACTERS = 500;
/** Far more than our own table is printed with. */
const OUTPUT_CHARACTERS = 1_048_576;

/** Where `nft` is installed. */
export function findNft(): string | undefined {
  return findProgram("nft");
}

/** Where a program of the system is installed. */
export function findProgram(name: string): string | undefined {
  return PLACES.map((place) => join(place, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Runs `nft`; see {@link runProgram}. */
export async function runNft(nft: string, args: readonly string[], input = ""): Promise<string> {
  return await runProgram(nft, args, input);
}

/**
 * Runs a program that sets or lists rules. It has a deadline of its own and no caller's signal: what is begun is ended, so that it is known what stands.
 *
 * @returns what it printed.
 * @throws Error with what it said.
 */
export async function runProgram(path: string, args: readonly string[], input = ""): Promise<string> {
  return await withDeadline({ ms: DEADLINE_MS, code: "ENGINE_FAILED" }, async (signal) => {
    const child = spawn(path, args, { env: {}, stdio: "pipe", signal, killSignal: "SIGKILL" });
    if (child.pid === undefined) throw await whyNotMade(child);
    let [printed, said] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      if (printed.length < OUTPUT_CHARACTERS) printed += chunk.toString("utf8");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString("utf8")).slice(0, SAID_CHARACTERS);
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    const [code] = (await once(child, "close", { signal })) as [number | null];
    if (code !== 0)
      throw new Error(said.trim().split("\n")[0] || `${basename(path)} ended with code ${code}`);
    return printed;
  });
}

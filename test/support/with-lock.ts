import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Does the work while no other process of this machine holds the same lock: test files run beside each other, and what is made once
 * and kept must not be made twice at once.
 *
 * @param file made if it is not there, and left.
 */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  // The lock goes with the holder, and the holder with us.
  const holder = spawn("flock", [file, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(holder, "exit");
  const isHeld = await Promise.race([once(holder.stdout, "data").then(() => true), ended.then(() => false)]);
  if (!isHeld) throw new Error(`${file} cannot be locked`);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}

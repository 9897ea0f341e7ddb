import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/**
 * A stand-in for NVIDIA's container runtime hook, for engines on machines without a GPU. An engine that finds a program of
 * that name takes requests for GPUs, and has the program prepare each container that asks for some. This one prepares
 * nothing: it writes down what it was asked for. So it shows which cards Hearth asks for, not that a program in the container reaches them.
 */
export interface NvidiaHook extends AsyncDisposable {
  /** For the engine's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** What `NVIDIA_VISIBLE_DEVICES` was when the container was prepared; `undefined` if the hook was not called for it. */
  asked(containerId: string): string | undefined;
  /** Makes the hook refuse, as the real one does for a card that is not there. */
  refuse(words: string): Promise<void>;
  allow(): Promise<void>;
}

export async function openNvidiaHook(): Promise<NvidiaHook> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-hook-"));
  const bin = join(folder, "bin");
  const refusal = join(folder, "refusal");
  const hook = join(bin, "nvidia-container-runtime-hook");
  await mkdir(bin);
  // An OCI hook reads the container's state from its input; the last setting of a variable is the one that counts.
  await writeFile(
    hook,
    `#!/bin/sh
state=$(cat)
if [ -e ${refusal} ]; then cat ${refusal} >&2; exit 1; fi
id=$(printf %s "$state" | sed 's/.*"id": *"\\([^"]*\\)".*/\\1/')
bundle=$(printf %s "$state" | sed 's/.*"bundle": *"\\([^"]*\\)".*/\\1/')
grep -o '"NVIDIA_VISIBLE_DEVICES=[^"]*"' "$bundle/config.json" | tail -n 1 | tr -d '"' | cut -d= -f2 >${folder}/"$id"
`,
  );
  await chmod(hook, 0o755);
  return {
    env: { PATH: [bin, process.env["PATH"] ?? ""].join(delimiter) },
    asked(containerId) {
      const path = join(folder, containerId);
      return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
    },
    refuse: (words) => writeFile(refusal, `${words}\n`),
    allow: () => rm(refusal, { force: true }),
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}

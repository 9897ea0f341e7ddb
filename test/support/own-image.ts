import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { outputOf } from "./run-program.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** What it is built on, which is there afterwards: node and a shell. */
export const BASE_IMAGE = "hearth-node-base";

/**
 * Builds the daemon's own image from this tree on an engine, without a registry. The context is a folder of its own, so that two
 * tests may build at the same time.
 *
 * @param dockerHost as in `DOCKER_HOST`.
 */
export async function buildOwnImage(dockerHost: string, name: string): Promise<void> {
  const env = { DOCKER_HOST: dockerHost, DOCKER_BUILDKIT: "0" };
  const context = await mkdtemp(join(tmpdir(), "hearth-context-"));
  try {
    await outputOf("sh", [join(root, "scripts/node-base-image.sh"), BASE_IMAGE], { env });
    await outputOf(process.execPath, [join(root, "scripts/build.mjs"), "--no-types"], { cwd: root });
    await outputOf(process.execPath, [join(root, "scripts/stage-image.mjs"), join(context, "stage")]);
    await cp(join(root, "docker"), join(context, "docker"), { recursive: true });
    const facts = ["--build-arg", `BASE=${BASE_IMAGE}`, "--build-arg", "PREBUILT=stage"];
    const file = join(context, "docker/Dockerfile");
    await outputOf("docker", ["build", "-q", "-t", name, "-f", file, ...facts, context], {
      env,
      timeoutMs: 180_000,
    });
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

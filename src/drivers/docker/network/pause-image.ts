import { createHash } from "node:crypto";
import type { Engine } from "../engine/engine.ts";
import { isMissing } from "../engine/engine-error.ts";
import { pauseProgram } from "./pause-program.ts";
import { tar } from "./tar.ts";

/**
 * Makes sure that the engine has the image of network sandboxes, from memory and without a registry.
 *
 * @returns a name for it that changes with its content.
 * @throws EngineError or {@link ExecutorError} if the engine cannot take it.
 */
export async function ensurePauseImage(engine: Engine, signal: AbortSignal): Promise<string> {
  const { name, archive } = pauseImage(engine.architecture);
  try {
    await engine.images.inspect(name, { signal });
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown;
    await engine.images.load(archive, { signal });
  }
  return name;
}

/** The image as `docker save` would write it. Its bytes depend on the architecture only. */
export function pauseImage(architecture: string): { readonly name: string; readonly archive: Buffer } {
  const layer = tar([{ path: "pause", content: pauseProgram(architecture), mode: 0o555 }]);
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: "linux",
      created: "1970-01-01T00:00:00Z",
      config: { Entrypoint: ["/pause"] },
      rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
      history: [{ created: "1970-01-01T00:00:00Z", created_by: "hearth" }],
    }),
  );
  const id = sha256(config);
  const name = `hearth/pause:${id.slice(0, 12)}`;
  const manifest = [{ Config: `${id}.json`, RepoTags: [name], Layers: ["layer.tar"] }];
  const archive = tar([
    { path: `${id}.json`, content: config },
    { path: "layer.tar", content: layer },
    { path: "manifest.json", content: Buffer.from(JSON.stringify(manifest)) },
  ]);
  return { name, archive };
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

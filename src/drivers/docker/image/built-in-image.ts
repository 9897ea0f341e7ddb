import { createHash } from "node:crypto";
import type { Engine } from "../engine/engine.ts";
import { isMissing } from "../engine/engine-error.ts";
import type { TarFile } from "../network/tar.ts";
import { tar } from "../network/tar.ts";

/** An image of ours, made in memory: it needs no file of any image and no registry. */
export interface BuiltInImage {
  /** Changes with its content. */
  readonly name: string;
  /** As `docker save` would write it. */
  readonly archive: Buffer;
}

/** One layer with these files. The bytes depend on what is given only. */
export function builtInImage(
  repository: string,
  architecture: string,
  files: readonly TarFile[],
  entrypoint: string,
): BuiltInImage {
  const layer = tar(files);
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: "linux",
      created: "1970-01-01T00:00:00Z",
      config: { Entrypoint: [entrypoint] },
      rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
      history: [{ created: "1970-01-01T00:00:00Z", created_by: "hearth" }],
    }),
  );
  const id = sha256(config);
  const name = `${repository}:${id.slice(0, 12)}`;
  const manifest = [{ Config: `${id}.json`, RepoTags: [name], Layers: ["layer.tar"] }];
  const archive = tar([
    { path: `${id}.json`, content: config },
    { path: "layer.tar", content: layer },
    { path: "manifest.json", content: Buffer.from(JSON.stringify(manifest)) },
  ]);
  return { name, archive };
}

/** Makes sure that the engine has it. @throws EngineError or {@link ExecutorError} if the engine cannot take it. */
export async function ensureBuiltInImage(
  engine: Engine,
  { name, archive }: BuiltInImage,
  signal: AbortSignal,
): Promise<string> {
  try {
    await engine.images.inspect(name, { signal });
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown;
    await engine.images.load(archive, { signal });
  }
  return name;
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

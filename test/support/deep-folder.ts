import { mkdir, open, writeFile } from "node:fs/promises";

const NAME = "n".repeat(50);

/** Folders in each other, deeper than one path can name (`PATH_MAX`), with a file of so many bytes in the last. */
export async function makeDeep(top: string, bytes: number): Promise<void> {
  let here = await open(top);
  for (let depth = 0; depth < 120; depth += 1) {
    const next = `/proc/self/fd/${here.fd}/${NAME}`;
    await mkdir(next);
    const below = await open(next);
    await here.close();
    here = below;
  }
  await writeFile(`/proc/self/fd/${here.fd}/last`, Buffer.alloc(bytes, 1));
  await here.close();
}

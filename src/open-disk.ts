/** Opens the disk that is shown: that of the work folders of jobs. */
import { access } from "node:fs/promises";
import { dirname } from "node:path";
import type { Config } from "./config/index.ts";
import type { HostDisk } from "./core/index.ts";
import { diskReserve } from "./core/index.ts";
import { openHostDisk } from "./drivers/host/index.ts";
import { hasStreamDoor } from "./open-stream.ts";
import { toStreamSettings } from "./open-stream-inputs.ts";
import { systemClock } from "./std/index.ts";

/** @returns `undefined` where the file system does not tell. */
export async function openDisk(config: Config): Promise<HostDisk | undefined> {
  const nowMs = (): number => systemClock.nowMs();
  if (!hasStreamDoor(config)) return await openHostDisk(config.state_dir, { nowMs, reserveBytes: () => 0 });
  const { shared_dir_local: local } = config.stream;
  const { disk } = toStreamSettings(config);
  const reserveBytes = (totalBytes: number): number => diskReserve({ totalBytes }, disk);
  return await openHostDisk(await nearest(local === "" ? config.state_dir : local), { nowMs, reserveBytes });
}

/** The folder, or the one that it will be made in. */
async function nearest(folder: string): Promise<string> {
  for (let path = folder; ; path = dirname(path)) {
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere || path === dirname(path)) return path;
  }
}

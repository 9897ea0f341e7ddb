import type { Cgroup, CgroupPlan, CgroupSetting } from "./cgroup.ts";
import type { ControlFiles } from "./control-files.ts";

/** Carries a plan out. Throws what the kernel says; nothing is left then. */
export function makePlanned(files: ControlFiles, { cgroup, directories, settings }: CgroupPlan): Cgroup {
  try {
    for (const directory of directories) files.makeDirectory(directory);
    for (const setting of settings) set(files, setting);
  } catch (error) {
    cgroup.remove();
    throw error;
  }
  return cgroup;
}

function set(files: ControlFiles, { tries, isNeeded }: CgroupSetting): void {
  let failure: unknown;
  for (const { file, text } of tries) {
    try {
      files.write(file, text);
      return;
    } catch (error) {
      failure = error;
    }
  }
  if (isNeeded) throw failure;
}

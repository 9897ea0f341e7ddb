import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Through which every card is used, whichever it is. */
const CONTROL_NODES = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"];
/** Where the kernel's driver tells of its cards, one folder each, named by PCI address. */
const KERNEL_CARDS = "/proc/driver/nvidia/gpus";

/**
 * The device files for exactly these cards, with those for control; none for no cards.
 *
 * @param minorOf what NVML told; where it did not, the kernel's driver is asked.
 */
export function nodesOf(
  ids: readonly string[],
  minorOf: (id: string) => number | undefined,
  kernelCards = KERNEL_CARDS,
): readonly string[] {
  if (ids.length === 0) return [];
  const told = ids.some((id) => minorOf(id) === undefined)
    ? kernelMinors(kernelCards)
    : new Map<string, number>();
  const minors = ids.flatMap((id) => minorOf(id) ?? told.get(id) ?? []);
  return [
    ...minors.map((minor) => `/dev/nvidia${minor}`),
    ...CONTROL_NODES.filter((path) => existsSync(path)),
  ];
}

function kernelMinors(folder: string): ReadonlyMap<string, number> {
  const minors = new Map<string, number>();
  for (const name of list(folder)) {
    const text = read(join(folder, name, "information"));
    const id = /^GPU UUID:\s*(\S+)/m.exec(text)?.[1];
    const minor = /^Device Minor:\s*(\d+)/m.exec(text)?.[1];
    if (id !== undefined && minor !== undefined) minors.set(id, Number(minor));
  }
  return minors;
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // No such driver here.
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

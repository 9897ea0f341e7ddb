import { createHash } from "node:crypto";

/** Where iproute2 keeps the network name spaces that have names. */
const NAMESPACES = "/var/run/netns";

/**
 * What the networks of one owner are called, so that the next life finds them: the name space `hearth-<owner>-<n>`, and the
 * host's end of its cable `h<owner>-<n>`, which at 15 characters is as long as the kernel allows.
 */
export class NetworkNames {
  readonly #short: string;

  constructor(owner: string) {
    this.#short = createHash("sha256").update(owner).digest("hex").slice(0, 8);
  }

  /** What the names of all host's ends begin with. */
  get linkPrefix(): string {
    return `h${this.#short}-`;
  }

  namespace(index: number): string {
    return `hearth-${this.#short}-${index}`;
  }

  link(index: number): string {
    return `h${this.#short}-${index}`;
  }

  /** The number in a name of either kind; `undefined` for names that are not this owner's. */
  indexOf(name: string): number | undefined {
    const [, short, index] = /^h(?:earth-)?([0-9a-f]{8})-(\d{1,5})$/.exec(name) ?? [];
    return short === this.#short ? Number(index) : undefined;
  }
}

/** Whether an interface is the host's end of a task's cable, of whichever owner. */
export function isTaskLink(name: string): boolean {
  return /^h[0-9a-f]{8}-\d{1,5}$/.test(name);
}

export function namespacePath(name: string): string {
  return `${NAMESPACES}/${name}`;
}

export const NAMESPACES_FOLDER = NAMESPACES;

/** How strongly a sandbox is kept from the host. A request names a floor: what is not there is refused, never weakened. */
export const ISOLATION_CLASSES = ["process", "container", "gvisor", "microVM", "sgx"] as const;

export type IsolationClass = (typeof ISOLATION_CLASSES)[number];

export function isIsolationClass(text: string): text is IsolationClass {
  return (ISOLATION_CLASSES as readonly string[]).includes(text);
}

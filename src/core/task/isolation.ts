/** How strongly a sandbox is kept from the host. A request names a floor: what is not there is refused, never weakened. */
export const ISOLATION_CLASSES = ["process", "container", "gvisor", "microVM", "sgx"] as const;

export type IsolationClass = (typeof ISOLATION_CLASSES)[number];

export function isIsolationClass(text: string): text is IsolationClass {
  return (ISOLATION_CLASSES as readonly string[]).includes(text);
}

/**
 * Whether a sandbox of a class keeps its server through a freeze. Under gVisor a paused server was seen to stop listening, and a
 * virtual machine may lose its clock and its connections: an idle one is removed instead where room is needed.
 */
export function survivesFreeze(isolation: IsolationClass): boolean {
  return isolation !== "gvisor" && isolation !== "microVM";
}

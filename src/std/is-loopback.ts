/** Whether what listens on this address is reached from this host alone. Any other name may be anybody's address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** How long is waited before the second try, and before the third. */
const PAUSES_MS = [50, 400];
/** An order that was out for longer may be an old one by now, such as a pause that somebody else has ended since. */
const ORDER_MS = 1000;

/**
 * `fetch`, tried again when no answer came. A browser breaks off what it is just connecting whenever an interface or an address of its
 * machine comes or goes, loopback or not (Chromium: `ERR_NETWORK_CHANGED`); on the daemon's own host each sandbox with a network does
 * that. What the page asks for may be asked for twice; what it orders, only at once.
 */
export const fetchAgain: typeof fetch = async (input, init) => {
  const sinceMs = Date.now();
  const isOrder = (init?.method ?? "GET") !== "GET";
  for (const pauseMs of PAUSES_MS) {
    let broken: unknown;
    try {
      return await fetch(input, init);
    } catch (error) {
      if (init?.signal?.aborted === true) throw error;
      broken = error;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, pauseMs);
    });
    // Also where the machine slept in the pause.
    if (isOrder && Date.now() - sinceMs > ORDER_MS) throw broken;
  }
  return await fetch(input, init);
};

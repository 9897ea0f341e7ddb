/** How long is waited before the second try, and before the third. */
const PAUSES_MS = [50, 400];

/**
 * `fetch`, tried again when no answer came. A browser breaks off what it is just connecting whenever an interface or an address of its
 * machine comes or goes, loopback or not (Chromium: `ERR_NETWORK_CHANGED`); on the daemon's own host each sandbox with a network does
 * that. All that the page asks for may be asked for twice.
 */
export const fetchAgain: typeof fetch = async (input, init) => {
  for (const pauseMs of PAUSES_MS) {
    try {
      return await fetch(input, init);
    } catch (error) {
      if (init?.signal?.aborted === true) throw error;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, pauseMs);
    });
  }
  return await fetch(input, init);
};

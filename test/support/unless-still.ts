const MOST = 10;

/**
 * Tries again while the answer is `undefined`: the machine stood still for so long in between that what was looked for may
 * rightly be gone.
 */
export async function unlessStill<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < MOST; tries += 1) {
    const result = await attempt();
    if (result !== undefined) return result;
  }
  throw new Error(`the machine stood still ${MOST} times`);
}

/**
 * Asks again and again, for at most `deadlineMs`, until the answer is `true`; any other answer is kept for the error.
 * The pause between two questions is a wait for state to come, not for time to pass.
 */
export async function poll(
  what: string,
  ask: () => Promise<true | string> | true | string,
  deadlineMs = 60_000,
): Promise<void> {
  const startedAtMs = performance.now();
  for (;;) {
    const answer = await ask();
    if (answer === true) return;
    if (performance.now() - startedAtMs > deadlineMs)
      throw new Error(`waited ${deadlineMs} ms in vain: ${what}: ${answer}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * Waits for work, but once `closing` has aborted for at most `graceMs` more: what is not done then is left to whoever cleans
 * up next. Rejects if the work does in time; leaves no timer behind.
 */
export async function boundedWork(
  work: Promise<unknown>,
  closing: AbortSignal,
  graceMs: number,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let onClosing = (): void => undefined;
  const expired = new Promise<void>((resolve) => {
    onClosing = () => {
      timer = setTimeout(resolve, graceMs);
    };
  });
  if (closing.aborted) onClosing();
  else closing.addEventListener("abort", onClosing, { once: true });
  try {
    await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
    closing.removeEventListener("abort", onClosing);
  }
}

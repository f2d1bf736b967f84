// Waiting between two requests.

/** Waits for up to `ms`, with jitter, or until the signal aborts. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms / 2 + (Math.random() * ms) / 2);
    if (signal?.aborted === true) end();
    else signal?.addEventListener('abort', end);
  });
}

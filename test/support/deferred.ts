// A promise that the test resolves.

/** Creates a promise and its opener: `opened` resolves when `open` is called. */
export function deferred(): { open(): void; opened: Promise<void> } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

// A promise that the test resolves.

/** Creates a gate: `after` resolves when `open` is called. */
export function gate(): { open(): void; after: Promise<void> } {
  let open = () => {};
  const after = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, after };
}

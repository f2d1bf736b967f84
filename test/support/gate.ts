// Something that happens when a test says so.

/** @returns `after` resolves once `open` has been called. */
export function gate(): { open(): void; after: Promise<void> } {
  let open = () => {};
  const after = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, after };
}

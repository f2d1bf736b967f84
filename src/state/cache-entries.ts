// The size of a cache that is empty in most processes.

/** Options of an `LRUCache` of at most `entries` entries that takes memory only for those it has; `max` takes that of all at once. */
export function atMost(entries: number): { maxSize: number; sizeCalculation: () => number } {
  return { maxSize: entries, sizeCalculation: one };
}

const one = () => 1;

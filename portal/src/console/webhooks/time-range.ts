// The time range of what is sent again, as typed.

/** The moment of a `datetime-local` field, RFC 3339; null for none. */
export function momentOf(local: string): string | null {
  const time = new Date(local);
  return local === '' || Number.isNaN(time.getTime()) ? null : time.toISOString();
}

/** A moment as a `datetime-local` field wants it, in the time zone of the browser. @param time ms */
export function localOf(time: number): string {
  const date = new Date(time);
  return new Date(time - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

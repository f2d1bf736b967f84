// Time of day in a time zone.

export const MINUTES_PER_DAY = 24 * 60;

/** The minute of the day, 0 to 1439, at a time (ms) in a time zone; null when the time zone is unknown. */
export function localMinute(at: number, timeZone: string): number | null {
  try {
    const format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    return (parts.get('hour') ?? 0) * 60 + (parts.get('minute') ?? 0);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

// How much requests may hold at once in a web process: each credential, so that it does not take what others need, and
// the process as a whole, so that it never holds more than it has. `in-flight.ts` counts.

import { MAX_EVIDENCE_BYTES } from '../../state/tasks/evidence.ts';

/** What a multipart form may add to its file, in bytes: boundaries and part headers. */
export const FORM_BYTES = 64 * 1024;
/** Largest upload in bytes. */
export const UPLOAD_BYTES = MAX_EVIDENCE_BYTES + FORM_BYTES;

const MIB = 1024 * 1024;

export interface InFlightLimits {
  credential: number;
  process: number;
}

/** What is counted, with its usual limits, and the lowest that lets the largest single request through. */
const TABLE = {
  /** Bytes of JSON bodies, from before they are read until their request is answered. */
  bodies: { variable: 'MAX_BODY_BYTES', credential: 32 * MIB, process: 128 * MIB, least: 4 * MIB },
  /** Bytes of evidence on its way in. */
  uploads: {
    variable: 'MAX_UPLOAD_BYTES',
    credential: 4 * UPLOAD_BYTES,
    process: 1024 * MIB,
    least: UPLOAD_BYTES,
  },
  /** Event streams that are open. */
  streams: { variable: 'MAX_STREAMS', credential: 100, process: 10_000, least: 1 },
} as const satisfies Record<string, InFlightLimits & { variable: string; least: number }>;

export type InFlightKind = keyof typeof TABLE;

/**
 * The limits of each kind, read by environment variable.
 * @param read the value of a variable, at least `least`, or `usual` where it is not set.
 */
export function inFlightLimits(
  read: (variable: string, usual: number, least: number) => number,
): Record<InFlightKind, InFlightLimits> {
  const limits = ({
    variable,
    credential,
    process,
    least,
  }: (typeof TABLE)[InFlightKind]): InFlightLimits => ({
    process: read(variable, process, least),
    credential: read(`${variable}_PER_CREDENTIAL`, credential, least),
  });
  return { bodies: limits(TABLE.bodies), uploads: limits(TABLE.uploads), streams: limits(TABLE.streams) };
}

/** The limits where nothing is set. */
export const IN_FLIGHT_LIMITS = inFlightLimits((_variable, usual) => usual);

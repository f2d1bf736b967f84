// What an error means to a person, and what they can do.

import { ApiError } from '@biolayer/sdk';
import type { SharedMessages } from '../i18n/messages.tsx';
import { isPassing } from './client.ts';

/** A sentence for an error of a request, in the language of the page where there is one. */
export function problemText(error: unknown, { problems, signedOut }: SharedMessages): string {
  if (!(error instanceof ApiError))
    return isPassing(error)
      ? problems.offline
      : problems.unknown(error instanceof Error ? error.message : '');
  const { codes } = problems;
  if (Object.hasOwn(codes, error.code)) return codes[error.code as keyof typeof codes];
  switch (error.status) {
    case 401:
      return signedOut.text;
    case 403:
      return problems.forbidden;
    case 404:
      return problems.notFound;
    case 412:
      return problems.stale;
    case 413:
      return `${problems.tooLarge} ${error.detail}`;
    case 429:
      return problems.rateLimited;
    default:
      return error.status >= 500 ? problems.unavailable : problems.unknown(error.detail);
  }
}

// The organisation of the member.

import { ApiError, type Org, type UpdateOwnOrgRequest } from '@biolayer/sdk';
import { api } from '../../shared/api/client.ts';
import { queries } from '../../shared/api/queries.tsx';
import { ifMatch, type Versioned, versioned } from '../../shared/api/versioned.ts';

export const ORG_KEY = ['org'];

export function readOrg(): Promise<Versioned<Org>> {
  return versioned((client) => client.org.get());
}

/**
 * Changes the organisation.
 * @param force sets an allowlist that locks the member out.
 * @returns the version to send the next time when someone else has changed it meanwhile; null when it is saved
 */
export async function saveOrg(
  change: UpdateOwnOrgRequest,
  seen: Versioned<Org>,
  force = false,
): Promise<Versioned<Org> | null> {
  try {
    await api.org.update(change, { ...ifMatch(seen.etag), ...(force && { query: { force: true } }) });
  } catch (error) {
    if (error instanceof ApiError && error.status === 412) return readOrg();
    throw error;
  }
  await queries.invalidateQueries({ queryKey: ORG_KEY });
  return null;
}

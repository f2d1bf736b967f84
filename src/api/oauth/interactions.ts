// The library's interactions (an authorization request and its progress), stored in a sealed cookie of the browser that
// started them. The path of the cookie is that of the next step: the page, or, after its form, the authorization endpoint.
// A result can be used once; its use is recorded in Redis, which happens only after sign-in.

import { type Adapter, type AdapterPayload, errors } from 'oidc-provider';
import type { OAuthRecords } from '../../store/identity/oauth-records.ts';
import { currentRequest, type SealedCookies } from './sealed-cookies.ts';

const NAME = 'bl_asked';
/** Longest life of an interaction, s. */
export const INTERACTION_LIFE_S = 30 * 60;

/** The storage adapter for interactions. */
export function interactionAdapter(cookies: SealedCookies, records: OAuthRecords): Adapter {
  const request = () => {
    const ctx = currentRequest.getStore();
    if (ctx === undefined) throw new Error('an interaction outside a request');
    return ctx;
  };
  const purposeOf = (uid: string) => `interaction ${uid}`;
  const find = (uid: string) =>
    cookies.get(request(), { name: NAME, purpose: purposeOf(uid) }) as AdapterPayload | null;
  const unused = async () => undefined;
  return {
    async upsert(uid, payload, seconds = INTERACTION_LIFE_S) {
      const step = payload.result === undefined ? 'interaction' : 'authorize';
      const cookie = { name: NAME, path: `/oauth/${step}/${uid}`, purpose: purposeOf(uid) };
      if (!cookies.set(request(), cookie, payload, seconds))
        throw new errors.InvalidRequest('the authorization request is too long');
    },
    async find(uid) {
      return find(uid) ?? undefined;
    },
    async destroy(uid) {
      const { result } = find(uid) ?? {};
      cookies.clear(request(), { name: NAME, path: `/oauth/authorize/${uid}` });
      const isAnswer = result?.login !== undefined || result?.consent !== undefined;
      if (isAnswer && !(await records.useOnce('Interaction', uid, INTERACTION_LIFE_S)))
        throw new errors.SessionNotFound('the interaction has already been used');
    },
    consume: unused,
    findByUid: unused,
    findByUserCode: unused,
    revokeByGrantId: unused,
  };
}

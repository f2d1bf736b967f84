// The library's interactions (what a client asked for, and how far the person has come), kept in a sealed cookie of
// the browser that began them. The cookie lies where the next step is: at the page, or, when the person has answered,
// at the authorization endpoint, which goes on from there. An answer counts once: that is noted in Redis, after the
// person has signed in.

import { type Adapter, type AdapterPayload, errors } from 'oidc-provider';
import type { OAuthRecords } from '../../store/identity/oauth-records.ts';
import { type SealedCookies, served } from './sealed-cookies.ts';

const NAME = 'bl_asked';
/** Longest life of an interaction, s. */
export const INTERACTION_LIFE = 30 * 60;

/** The library's way to interactions. */
export function interactionAdapter(cookies: SealedCookies, records: OAuthRecords): Adapter {
  const request = () => {
    const ctx = served.getStore();
    if (ctx === undefined) throw new Error('an interaction outside a request');
    return ctx;
  };
  const purposeOf = (uid: string) => `interaction ${uid}`;
  const find = (uid: string) =>
    cookies.get(request(), { name: NAME, purpose: purposeOf(uid) }) as AdapterPayload | null;
  const unused = async () => undefined;
  return {
    async upsert(uid, payload, seconds = INTERACTION_LIFE) {
      const step = payload.result === undefined ? 'interaction' : 'authorize';
      const place = { name: NAME, path: `/oauth/${step}/${uid}`, purpose: purposeOf(uid) };
      if (!cookies.set(request(), place, payload, seconds))
        throw new errors.InvalidRequest('the authorization request is too long');
    },
    async find(uid) {
      return find(uid) ?? undefined;
    },
    async destroy(uid) {
      const { result } = find(uid) ?? {};
      cookies.clear(request(), { name: NAME, path: `/oauth/authorize/${uid}` });
      const isAnswer = result?.login !== undefined || result?.consent !== undefined;
      if (isAnswer && !(await records.useOnce('Interaction', uid, INTERACTION_LIFE)))
        throw new errors.SessionNotFound('the interaction was used before');
    },
    consume: unused,
    findByUid: unused,
    findByUserCode: unused,
    revokeByGrantId: unused,
  };
}

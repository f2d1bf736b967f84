// Limits of sign-in attempts. Attempts of others do not lock a member out: the growing delay applies to one account from
// one network, and a browser in which the member has signed in before is counted separately from its network (OWASP,
// "device cookies").

import { randomUUID } from 'node:crypto';
import type { Context } from 'koa';
import { emailHash } from '../../store/identity/members.ts';
import {
  countAttempt,
  delayAttempt,
  forgetAttempts,
  uncountAttempt,
} from '../../store/identity/sign-in-attempts.ts';
import type { Db } from '../../store/redis/connection.ts';
import { addressGroup } from '../access/client-address.ts';
import type { SealedCookies } from './sealed-cookies.ts';

/** Most failed attempts from one network within fifteen minutes, for all accounts together. */
const MAX_PER_NETWORK = 50;
const DAY_S = 24 * 3600;
const KNOWN_FOR = 180 * DAY_S;
/** Most members that one browser is remembered for. */
const MAX_MEMBERS = 5;
const DEVICE = { name: 'bl_device', path: '/oauth', purpose: 'device' };

export interface Attempt {
  /** How long it must wait, ms; 0: it is allowed now and has been counted. */
  wait: number;
  /** Call after success: uncounts the attempt and remembers the browser for the account. */
  succeeded(): Promise<void>;
}

/**
 * Counts an attempt to sign in.
 * @param address IP address of the client. @param orgId and email: the account, which need not exist
 */
export async function countSignInAttempt(
  ctx: Context,
  { db, cookies }: { db: Db; cookies: SealedCookies },
  { address, orgId, email }: { address: string | null; orgId: string; email: string },
): Promise<Attempt> {
  const account = `${orgId} ${emailHash(email)}`;
  const device = deviceOf(cookies.get(ctx, DEVICE));
  const isKnown = device.accounts.includes(account);
  const network = addressGroup(address);
  const counter = `${isKnown ? `device ${device.id}` : `network ${network}`} ${account}`;
  const ofNetwork = isKnown ? 0 : await countAttempt(db, network, MAX_PER_NETWORK);
  const wait = ofNetwork > 0 ? ofNetwork : await delayAttempt(db, counter);
  // An attempt that must wait is not counted.
  if (!isKnown && ofNetwork === 0 && wait > 0) await uncountAttempt(db, network);
  return {
    wait,
    async succeeded() {
      await Promise.all([forgetAttempts(db, counter), isKnown ? undefined : uncountAttempt(db, network)]);
      const accounts = [account, ...device.accounts.filter((one) => one !== account)];
      cookies.set(ctx, DEVICE, { id: device.id, accounts: accounts.slice(0, MAX_MEMBERS) }, KNOWN_FOR);
    },
  };
}

/** The browser's id and the accounts it is remembered for; a new id without a valid cookie. */
function deviceOf(cookie: Record<string, unknown> | null): { id: string; accounts: string[] } {
  const { id, accounts } = cookie ?? {};
  if (typeof id !== 'string' || !Array.isArray(accounts)) return { id: randomUUID(), accounts: [] };
  return { id, accounts: accounts.filter((one) => typeof one === 'string') };
}

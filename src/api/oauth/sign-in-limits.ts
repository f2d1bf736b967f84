// How often sign-in may be attempted. Nobody is locked out by what others attempt: attempts at an account wait longer
// and longer for the network they come from alone, and a browser in which the member has signed in before (OWASP,
// "device cookies") is counted by itself, whatever comes from its network.

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

/** Failed attempts within fifteen minutes from one network, for all accounts together. */
const MOST_PER_NETWORK = 50;
const DAY = 24 * 3600;
const KNOWN_FOR = 180 * DAY;
/** Members that one browser is known for. */
const MOST_MEMBERS = 5;
const DEVICE = { name: 'bl_device', path: '/oauth', purpose: 'device' };

export interface Attempt {
  /** How long it must wait, ms; 0: it may be made now, and is counted. */
  wait: number;
  /** Takes the attempt back and lets the browser be known for the account: it has succeeded. */
  succeeded(): Promise<void>;
}

/**
 * Counts an attempt to sign in.
 * @param address where it comes from. @param orgId and email: the account, whether or not there is one.
 */
export async function attempt(
  ctx: Context,
  { db, cookies }: { db: Db; cookies: SealedCookies },
  { address, orgId, email }: { address: string | null; orgId: string; email: string },
): Promise<Attempt> {
  const account = `${orgId} ${emailHash(email)}`;
  const device = deviceOf(cookies.get(ctx, DEVICE));
  const isKnown = device.accounts.includes(account);
  const network = addressGroup(address);
  const who = `${isKnown ? `device ${device.id}` : `network ${network}`} ${account}`;
  const ofNetwork = isKnown ? 0 : await countAttempt(db, network, MOST_PER_NETWORK);
  const wait = ofNetwork > 0 ? ofNetwork : await delayAttempt(db, who);
  // One that comes too early was no attempt.
  if (!isKnown && ofNetwork === 0 && wait > 0) await uncountAttempt(db, network);
  return {
    wait,
    async succeeded() {
      await Promise.all([forgetAttempts(db, who), isKnown ? undefined : uncountAttempt(db, network)]);
      const accounts = [account, ...device.accounts.filter((one) => one !== account)];
      cookies.set(ctx, DEVICE, { id: device.id, accounts: accounts.slice(0, MOST_MEMBERS) }, KNOWN_FOR);
    },
  };
}

/** A browser and the accounts that it is known for; a new one when the cookie says nothing. */
function deviceOf(cookie: Record<string, unknown> | null): { id: string; accounts: string[] } {
  const { id, accounts } = cookie ?? {};
  if (typeof id !== 'string' || !Array.isArray(accounts)) return { id: randomUUID(), accounts: [] };
  return { id, accounts: accounts.filter((one) => typeof one === 'string') };
}

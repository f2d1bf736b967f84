// The text of a credential: prefix, partition, random part and checksum. The checksum rejects a mistyped credential
// without a look-up, and the partition says where its record is. Redis stores only the SHA-256 of the text: with 160
// random bits a slow hash would add nothing. Only hashes are compared, so response times reveal nothing about the text.

import { hash, randomBytes } from 'node:crypto';
import { HASHED_PARTITIONS, PARTITIONS, partitionOf } from '../redis/keys.ts';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const FORM =
  /^(blk_live_|blk_test_|blw_|blws_|blms_|bll_|blo_|blr_|bla_|blg_|bls_)([0-9A-Za-z]{1,2})([0-9A-Za-z]{27})([0-9A-Za-z]{6})$/;

/**
 * `blk_…` API keys, `blw_` worker tokens, `blws_` and `blms_` sessions of workers and members, `bll_` sign-in links; of
 * OAuth `blo_` access tokens, `blr_` refresh tokens, `bla_` authorization codes, `blg_` grants, `bls_` client secrets.
 */
export type CredentialPrefix =
  | 'blk_live_'
  | 'blk_test_'
  | 'blw_'
  | 'blws_'
  | 'blms_'
  | 'bll_'
  | 'blo_'
  | 'blr_'
  | 'bla_'
  | 'blg_'
  | 'bls_';

/** A new credential of a tenant. @returns the text, which is shown once, and its hash, which is stored. */
export function newCredential(prefix: CredentialPrefix, orgId: string): { text: string; hash: string } {
  const number = PARTITIONS.indexOf(partitionOf(orgId));
  // The first partitions have one character, as in the credentials of earlier releases.
  const partition = base62(BigInt(number), number < HASHED_PARTITIONS ? 1 : 2);
  const body = `${prefix}${partition}${base62(BigInt(`0x${randomBytes(20).toString('hex')}`), 27)}`;
  const text = body + checksum(body);
  return { text, hash: hashOf(text) };
}

/** SHA-256 (hex) of a credential. */
export function hashOf(text: string): string {
  return hash('sha256', text, 'hex');
}

/**
 * Parses the text of a credential, without a look-up.
 * @returns where its record would be, and whether it is a worker token; null when the form or checksum is wrong.
 */
export function parseCredential(text: string): { partition: string; hash: string; worker: boolean } | null {
  const [, prefix, partition = '', , sum] = FORM.exec(text) ?? [];
  const number = [...partition].reduce((value, digit) => value * 62 + ALPHABET.indexOf(digit), 0);
  const name = PARTITIONS[number];
  if (prefix === undefined || name === undefined) return null;
  if (checksum(text.slice(0, -6)) !== sum) return null;
  return { partition: name, hash: hashOf(text), worker: prefix === 'blw_' };
}

function checksum(text: string): string {
  return base62(BigInt(hash('sha256', text, 'buffer').readUInt32BE(0)), 6);
}

function base62(value: bigint, length: number): string {
  let text = '';
  for (let rest = value; text.length < length; rest /= 62n)
    text = (ALPHABET[Number(rest % 62n)] ?? '') + text;
  return text;
}

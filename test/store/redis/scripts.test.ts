// Scripts get their keys and arguments byte for byte, whatever these are.
import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { defineScript } from '../../../src/store/redis/scripts.ts';
import { openTestDb } from '../../support/db.ts';

const { redis, prefix } = await openTestDb();
const echo = defineScript<Buffer[]>('return {KEYS[1], unpack(ARGV)}', null);
const key = `${prefix}:{scripts}:ä`;
const texts = [
  '',
  'a',
  'x'.repeat(255),
  'x'.repeat(256),
  'ä'.repeat(128),
  '€ 😀 \0 \r\n$1\r\n',
  'x'.repeat(100_000),
];

it('texts of all lengths and characters arrive as they are', async () => {
  expect((await echo(redis, [key], texts)).map(String)).toEqual([key, ...texts]);
});

it('numbers arrive as text', async () => {
  const numbers = [0, -1, 4.8, 1_796_089_250_881];
  expect((await echo(redis, [key], numbers)).slice(1).map(String)).toEqual(numbers.map(String));
});

it('bytes that are not UTF-8 arrive among texts', async () => {
  const bytes = randomBytes(300);
  expect((await echo(redis, [key], ['ä', bytes, Buffer.alloc(0), 7])).slice(1)).toEqual([
    Buffer.from('ä'),
    bytes,
    Buffer.alloc(0),
    Buffer.from('7'),
  ]);
});

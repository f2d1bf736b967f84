// Work on one key runs one at a time: what waiting work learns, and what ends its wait.
import { expect, it } from 'vitest';
import { KeyedMutex } from '../../../src/store/redis/keyed-mutex.ts';
import { deferred } from '../../support/deferred.ts';

const unavailable = () => Promise.reject(new Error('Command timed out'));

it('runs work on one key one at a time, and tells it that it waited', async () => {
  const mutex = new KeyedMutex();
  const [first, log] = [deferred(), [] as string[]];
  const work = (name: string, until?: Promise<unknown>) => async (hasWaited: boolean) => {
    log.push(`${name} ${hasWaited}`);
    await until;
    log.push(`${name} over`);
  };
  const all = [
    mutex.take('key', work('a', first.opened)),
    mutex.take('key', work('b')),
    mutex.take('key', work('c')),
  ];
  await mutex.take('other', work('d'));
  first.open();
  await Promise.all(all);
  expect(log).toEqual(['a false', 'd false', 'd over', 'a over', 'b true', 'b over', 'c true', 'c over']);
  await mutex.take('key', work('e'));
  expect(log).toContain('e false');
});

it('fails all waiting work at once when the previous work found Redis unavailable', async () => {
  const mutex = new KeyedMutex(60_000);
  const ran: string[] = [];
  const all = [
    mutex.take('key', unavailable),
    ...['b', 'c'].map((name) => mutex.take('key', async () => ran.push(name))),
  ];
  for (const one of await Promise.allSettled(all))
    expect(one).toMatchObject({ status: 'rejected', reason: { message: 'Command timed out' } });
  expect(ran).toEqual([]);
  expect(await mutex.take('key', async (hasWaited) => hasWaited)).toBe(false);
});

it('runs waiting work after any other error', async () => {
  const mutex = new KeyedMutex();
  const failed = mutex.take('key', () => Promise.reject(new Error('of its own')));
  const next = mutex.take('key', async () => 'done');
  await expect(failed).rejects.toThrow('of its own');
  expect(await next).toBe('done');
});

it('waits no longer than its patience for work that hangs', async () => {
  const mutex = new KeyedMutex(20);
  const hanging = deferred();
  const first = mutex.take('key', () => hanging.opened);
  expect(await mutex.take('key', async (hasWaited) => hasWaited)).toBe(true);
  hanging.open();
  await first;
});

// The stored form of final tasks: without the hashes that follow from the history, and as earlier versions wrote it.
import { validate, version } from 'uuid';
import { expect, it } from 'vitest';
import type { TaskEvent } from '../../../src/state/tasks/event.ts';
import { eventIdOf } from '../../../src/state/tasks/event-id.ts';
import { firstBroken, historyEntry } from '../../../src/state/tasks/history.ts';
import { idTime } from '../../../src/store/redis/ids.ts';
import {
  historyIn,
  type Packed,
  packEntry,
  packedFields,
  packTask,
  readPacked,
  unpackTask,
} from '../../../src/store/tasks/task-record.ts';

const TASK_ID = '01a22f25-c6d1-70b7-9682-862582e72db7';
const ORG_ID = '01a23203-dbdf-8222-8f21-34848cc66075';
const SEALED = 's1.S7Bvjk46.vW52SCWbh7euS7ztNTFHUCFdYzjzFL_PLpWoBG0Ay4xqVqBO3HMsYqLayMchAvoImqZKlw';
/** A cancelled task as an earlier version packed it: deflated JSON with all hashes. */
const FIRST_FORM =
  'rZbLagMxDEX/ZdYzQZJlWcp3dNVhFn5Cd6F0m38voW0yL5KmdGeQMNcLn3PHfRWd1i5639POuV/Y5ULUuWHKTDEfW8e87Unm0o8eqOO7M/0F/0+SvZ+jfab0G9rpDtqDCWhwjgVshfmfkTflfeSvN+qpO8LGA8utqxTuYvwLNnPibmj1FOtu2FlMV6XlfO7HsQOMRI38kKXgECCFwURpUJVWrWTnMjzkJAHJgDQAvgAeQY+eDwL2uvlHxbg6jymqIZZiXpvmGn0NZNGXRhS5sceUArMheSUjMeBcyLKUbup/FRn3at/ifH3KNrs/mPI2u2YuaA4sahQmFkwMTUEYNBHlgJUrQiRtklpScqogmRtKUubYTdM/XNLj9Ak=';
/** That task with the id of its org and a sealed secret, as version 3 packed it. */
const THIRD_FORM =
  'B02+756gxmiCIo8hNISMxmB1m9TwLb4VvRVwt5aCiG/p3DPAAHC3loKIb+ncM8GMTRkwmopkJGG0D4BkCLIsceThCij2v7gjiAbE8WuESsPRhyxA70QWEewvonUPQa1y5C5iClIfsQSzk5iJrZcI6jkT6PhBO9Ekd+rI6IYR7tqkViSCIhgU5/i6OVg7JsHmTmVZ2SZmemXhpkbBzuFJGeappcHmVSV+IW4eoc5uKZFVWVVuPvEBPgXh+U7uBo6VJhWFYYVO/sYevsWRhT6Jlb7JGY5l+Z65hVHeOeVKtWjtfKROAaKdb0Sndj7eVjkk5SK3kqGDN2RWIIiiGkUWbfijFlyTMBGuSgxRMycsfzNh626hsBHVCTYjYBkQAA==';

function read(packed: Buffer): Packed {
  const found = readPacked(ORG_ID, packed);
  if (found.kind !== 'known') throw new Error(found.kind);
  return found.value;
}

function packedAgain(task: Packed): Buffer {
  const [, packed] = packedFields({ org_id: ORG_ID, task_id: TASK_ID }, task);
  return packed as Buffer;
}

const earlier = read(Buffer.from(FIRST_FORM, 'base64'));

it('reads what an earlier version packed', () => {
  expect(earlier[1].status).toBe('cancelled');
  expect(firstBroken(historyIn(TASK_ID, earlier))).toBeNull();
  const [input, ...others] = read(Buffer.from(THIRD_FORM, 'base64'));
  expect(input.origin.org_id).toBe(ORG_ID);
  expect(input.handoff?.callback_auth).toEqual({ type: 'bearer', sealed: SEALED });
  expect(others[0]).toEqual(earlier[1]);
  expect(historyIn(TASK_ID, [input, ...others])).toEqual(historyIn(TASK_ID, earlier));
});

it('takes fewer bytes than the version before, and gives back the same', () => {
  const before = Buffer.from(THIRD_FORM, 'base64');
  const task = read(before);
  const packed = packedAgain(task);
  expect(packed.length).toBeLessThan(before.length - 30);
  expect(read(packed)).toEqual(task);
});

it('refers to an org that another task names by its id', () => {
  const other = '01a23203-dbdf-8222-8f21-34848cc66076';
  const [input, ...others] = read(Buffer.from(THIRD_FORM, 'base64'));
  for (const org_id of [other, `${ORG_ID}-test`, 'acme', '']) {
    const task: Packed = [{ ...input, origin: { ...input.origin, org_id } }, ...others];
    expect(read(packedAgain(task))[0].origin.org_id).toBe(org_id);
  }
});

it('stores no hash but the last, and gives back all of them', () => {
  const packed = packedAgain(earlier);
  expect((unpackTask(ORG_ID, packed) as Packed)[2].map((entry) => entry[8])).toEqual(['', '']);
  expect(historyIn(TASK_ID, read(packed))).toEqual(historyIn(TASK_ID, earlier));
  expect(packedAgain(read(packed))).toEqual(packed);
});

it('stores no id of an event that follows from its task', () => {
  const [input, state, history] = earlier;
  const at = Date.parse(history[0]?.[4] ?? '');
  const event_id = eventIdOf(TASK_ID, 1, at);
  expect(validate(event_id)).toBe(true);
  expect(version(event_id)).toBe(7);
  expect(idTime(event_id)).toBe(at);
  const event = { ...{ event_id, type: 'task.created', status: 'created', at, actor: 'system' }, data: {} };
  const entry = historyEntry({ ...event, sequence: 1, previous_status: null, attempt: 1 } as TaskEvent, null);
  const packed = packedAgain([input, state, [packEntry(entry), ...history.slice(1)], entry.hash]);
  expect((unpackTask(ORG_ID, packed) as Packed)[2].map((one) => one[0])).toEqual(['', history[1]?.[0]]);
  expect(historyIn(TASK_ID, read(packed))[0]).toEqual(entry);
});

it('does not hide that an entry was changed before or after it was packed', () => {
  const changed = (packed: Packed): Packed => {
    const copy = structuredClone(packed);
    const [first] = copy[2];
    if (first !== undefined) first[5] = 'worker:mallory';
    return copy;
  };
  expect(firstBroken(historyIn(TASK_ID, read(packedAgain(changed(earlier)))))).toBe(1);
  expect(firstBroken(historyIn(TASK_ID, read(packTask(ORG_ID, changed(read(packedAgain(earlier)))))))).toBe(
    2,
  );
});

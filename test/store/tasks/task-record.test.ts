// The stored form of final tasks: without the hashes that follow from the history, and as earlier versions wrote it.
import { expect, it } from 'vitest';
import { firstBroken } from '../../../src/state/tasks/history.ts';
import { packJson, unpackJson } from '../../../src/store/redis/packing.ts';
import { historyIn, type Packed, packedFields, readPacked } from '../../../src/store/tasks/task-record.ts';

/** A cancelled task as an earlier version packed it: deflated JSON with all hashes. */
const FIRST_FORM =
  'rZbLagMxDEX/ZdYzQZJlWcp3dNVhFn5Cd6F0m38voW0yL5KmdGeQMNcLn3PHfRWd1i5639POuV/Y5ULUuWHKTDEfW8e87Unm0o8eqOO7M/0F/0+SvZ+jfab0G9rpDtqDCWhwjgVshfmfkTflfeSvN+qpO8LGA8utqxTuYvwLNnPibmj1FOtu2FlMV6XlfO7HsQOMRI38kKXgECCFwURpUJVWrWTnMjzkJAHJgDQAvgAeQY+eDwL2uvlHxbg6jymqIZZiXpvmGn0NZNGXRhS5sceUArMheSUjMeBcyLKUbup/FRn3at/ifH3KNrs/mPI2u2YuaA4sahQmFkwMTUEYNBHlgJUrQiRtklpScqogmRtKUubYTdM/XNLj9Ak=';

function read(packed: Buffer): Packed {
  const found = readPacked(packed);
  if (found.kind !== 'known') throw new Error(found.kind);
  return found.value;
}

function packedAgain([input, state, history, head]: Packed): Buffer {
  const [, packed] = packedFields(input, state, history, head);
  return packed as Buffer;
}

const earlier = read(Buffer.from(FIRST_FORM, 'base64'));

it('reads what an earlier version packed', () => {
  expect(earlier[1].status).toBe('cancelled');
  expect(firstBroken(historyIn(earlier))).toBeNull();
});

it('stores no hash but the last, and gives back all of them', () => {
  const packed = packedAgain(earlier);
  expect((unpackJson(packed) as Packed)[2].map((entry) => entry[8])).toEqual(['', '']);
  expect(historyIn(read(packed))).toEqual(historyIn(earlier));
  expect(packedAgain(read(packed))).toEqual(packed);
});

it('does not hide that an entry was changed before or after it was packed', () => {
  const changed = (packed: Packed): Packed => {
    const copy = structuredClone(packed);
    const [first] = copy[2];
    if (first !== undefined) first[5] = 'worker:mallory';
    return copy;
  };
  expect(firstBroken(historyIn(read(packedAgain(changed(earlier)))))).toBe(1);
  expect(firstBroken(historyIn(read(packJson(changed(read(packedAgain(earlier)))))))).toBe(2);
});

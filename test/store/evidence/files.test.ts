// The bytes themselves, in a folder and in a bucket: whole or not at all, and never other than they were.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseBucket } from '../../../src/store/evidence/bucket.ts';
import { type EvidenceFiles, FileStoreError, openEvidenceFiles } from '../../../src/store/evidence/files.ts';
import { type BucketServer, startBucketServer } from '../../support/bucket-server.ts';
import { filesIn, sha256 } from '../../support/uploads.ts';

const folder = await mkdtemp(join(tmpdir(), 'biolayer-evidence-'));
let server: BucketServer;
beforeAll(async () => {
  server = await startBucketServer();
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

const STORES = [
  { kind: 'a folder', location: () => join(folder, 'store'), look: () => filesIn(join(folder, 'store')) },
  {
    kind: 'a bucket',
    location: () => `s3://evidence/some/prefix?endpoint=${server.endpoint}`,
    look: async () =>
      [...server.objects.keys()].map((one) => one.replace('/evidence/some/prefix/', '')).sort(),
  },
];

async function keep(files: EvidenceFiles, key: string, bytes: Buffer) {
  const incoming = await files.receive();
  await incoming.fill(Readable.from([bytes.subarray(0, 9), bytes.subarray(9)]), () => undefined);
  expect(incoming).toMatchObject({ bytes: bytes.length, sha256: sha256(bytes) });
  await files.keep(key, incoming).finally(() => incoming.close());
}

describe.each(STORES)('$kind', ({ location, look }) => {
  let files: EvidenceFiles;
  beforeAll(async () => {
    files = await openEvidenceFiles(location());
  });
  afterAll(() => files?.close());

  it('gives back what it was given, and removes one or all of a folder', async () => {
    const bytes = randomBytes(3_000_000);
    for (const key of ['o/t/a', 'o/t/b', 'o/u/c']) await keep(files, key, bytes);
    expect(await look()).toEqual(['o/t/a', 'o/t/b', 'o/u/c']);
    expect((await buffer(await files.open('o/t/a', sha256(bytes)))).equals(bytes)).toBe(true);
    await files.remove('o/t/a');
    await files.remove('o/t/a');
    expect(await look()).toEqual(['o/t/b', 'o/u/c']);
    await files.removeAll('o/t');
    await files.removeAll('o/t');
    expect(await look()).toEqual(['o/u/c']);
    await files.removeAll('o/u');
  });

  it('says at once that a file is not there', async () => {
    await expect(files.open('o/t/none', sha256(Buffer.alloc(0)))).rejects.toThrow(FileStoreError);
  });

  it('does not give out the last of a file that is not what was handed in', async () => {
    const bytes = randomBytes(1_000_000);
    await keep(files, 'o/t/a', bytes);
    let given = 0;
    const content = await files.open('o/t/a', sha256(randomBytes(9)));
    await expect(
      (async () => {
        for await (const chunk of content) given += (chunk as Buffer).length;
      })(),
    ).rejects.toThrow(FileStoreError);
    expect(given).toBeLessThan(bytes.length);
    await keep(files, 'o/t/small', randomBytes(20));
    await expect(files.open('o/t/small', sha256(bytes))).rejects.toThrow(FileStoreError);
    await files.removeAll('o/t');
  });

  it('takes in and gives out bytes as they come, however many are still to come', async () => {
    const incoming = await files.receive();
    const [first, second] = [randomBytes(1_000_000), randomBytes(1_000_000)];
    let given = (_: Buffer) => {};
    const rest = new Promise<Buffer>((resolve) => {
      given = resolve;
    });
    const filled = incoming.fill(
      Readable.from(
        (async function* () {
          yield first;
          yield await rest;
        })(),
      ),
      () => undefined,
    );
    // The first half is on the disk before there is a second.
    await expect
      .poll(async () => (await buffer(incoming.read())).equals(first), { timeout: 20_000 })
      .toBe(true);
    given(second);
    await filled;
    await files.keep('o/t/a', incoming);
    await incoming.close();
    const content = await files.open('o/t/a', incoming.sha256);
    const [chunk] = await once(content, 'data');
    expect(chunk.length).toBeLessThan(1_000_000);
    content.destroy();
    await files.removeAll('o/t');
  });

  it('keeps nothing of what breaks off on its way in', async () => {
    const incoming = await files.receive();
    const content = Readable.from(
      (function* () {
        yield randomBytes(100_000);
        throw new Error('gone');
      })(),
    );
    await expect(incoming.fill(content, () => undefined)).rejects.toThrow('gone');
    await incoming.close();
    expect(await look()).toEqual([]);
  });
});

describe('a folder', () => {
  it('is made, for its owner alone, with nothing to be seen of what is on its way in', async () => {
    const path = join(folder, 'deep/er');
    const files = await openEvidenceFiles(path);
    expect((await stat(path)).mode & 0o077).toBe(0);
    const incoming = await files.receive();
    expect(await readdir(join(path, '.incoming'))).toEqual([]);
    await incoming.close();
  });

  it('that cannot be made is a fault at the start', async () => {
    const path = join(folder, 'taken');
    await writeFile(path, '');
    await expect(openEvidenceFiles(path)).rejects.toThrow(/EEXIST|ENOTDIR/);
  });

  it('loses the name that a dead process left in the moment before it took it away', async () => {
    const path = join(folder, 'stale');
    const files = await openEvidenceFiles(path);
    for (const name of ['old', 'young']) await writeFile(join(path, '.incoming', name), '');
    const before = Date.now() / 1000 - 7200;
    await utimes(join(path, '.incoming/old'), before, before);
    await files.removeStale(3600 * 1000);
    expect(await readdir(join(path, '.incoming'))).toEqual(['young']);
  });
});

describe('a bucket', () => {
  it('that cannot take a file at once is asked again, whole, and not forever', async () => {
    const files = await openEvidenceFiles(`s3://evidence?endpoint=${server.endpoint}`);
    const bytes = randomBytes(200_000);
    server.refuse(2);
    await keep(files, 'o/t/again', bytes);
    expect(server.objects.get('/evidence/o/t/again')?.equals(bytes)).toBe(true);
    server.refuse(3);
    await expect(keep(files, 'o/t/never', bytes)).rejects.toThrow(FileStoreError);
    expect(server.objects.has('/evidence/o/t/never')).toBe(false);
    files.close();
  });

  it('that does not answer is told as a store that cannot be used', async () => {
    const gone = await startBucketServer();
    await gone.close();
    const files = await openEvidenceFiles(`s3://evidence?endpoint=${gone.endpoint}`);
    await expect(keep(files, 'o/t/a', randomBytes(20))).rejects.toThrow(FileStoreError);
    files.close();
  });

  it.each([
    ['s3://b-1/', { bucket: 'b-1', prefix: '', region: undefined, endpoint: undefined, pathStyle: false }],
    ['s3://b-1/x/y/?region=eu-west-1', { prefix: 'x/y/', region: 'eu-west-1' }],
    [
      's3://b-1?endpoint=http://127.0.0.1:9000',
      { endpoint: 'http://127.0.0.1:9000', region: 'us-east-1', pathStyle: true },
    ],
    ['s3://b-1?endpoint=https://s3.test&path_style=false', { pathStyle: false }],
  ])('%s is understood', (location, parsed) => {
    expect(parseBucket(location)).toMatchObject(parsed);
  });

  it.each([
    ['s3://', 'names no bucket'],
    ['s3://B_/x', 'names no bucket'],
    ['s3://key:secret@bucket', 'must hold no credentials'],
    ['s3://bucket/a/../b?x=1', 'has an unknown option x'],
    ['s3://bucket/a b', 'has a prefix of'],
    ['s3://bucket?endpoint=ftp://x', 'has no http(s) endpoint'],
    ['s3://bucket?path_style=maybe', 'takes path_style'],
  ])('%s is refused', async (location, why) => {
    await expect(openEvidenceFiles(location)).rejects.toThrow(why);
  });

  it('is not reached by any other scheme', async () => {
    await expect(openEvidenceFiles('gs://bucket')).rejects.toThrow('must be a folder or an s3:// URL');
  });
});

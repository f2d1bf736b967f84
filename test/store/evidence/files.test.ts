// The file store, in a folder and in a bucket: files are stored whole or not at all, and read back unaltered.
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

  it('returns the stored bytes, and removes one file or all below a path', async () => {
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

  it('fails at once when there is no such file', async () => {
    await expect(files.open('o/t/none', sha256(Buffer.alloc(0)))).rejects.toThrow(FileStoreError);
  });

  it('does not yield the last chunk of a file whose SHA-256 differs', async () => {
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

  it('writes and reads chunk by chunk, without waiting for the whole file', async () => {
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
    // The first half is on disk before the second exists.
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

  it('leaves nothing of an interrupted upload', async () => {
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
  it('is created for its owner alone, and does not show incoming files', async () => {
    const path = join(folder, 'deep/er');
    const files = await openEvidenceFiles(path);
    expect((await stat(path)).mode & 0o077).toBe(0);
    const incoming = await files.receive();
    expect(await readdir(join(path, '.incoming'))).toEqual([]);
    await incoming.close();
  });

  it('fails to open when it cannot be created', async () => {
    const path = join(folder, 'taken');
    await writeFile(path, '');
    await expect(openEvidenceFiles(path)).rejects.toThrow(/EEXIST|ENOTDIR/);
  });

  it('is cleared of old incoming files that a dead process did not unlink', async () => {
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
  it('is sent the whole file again after a failure, a limited number of times', async () => {
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

  it('fails with FileStoreError when it does not answer', async () => {
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
  ])('%s is parsed', (location, parsed) => {
    expect(parseBucket(location)).toMatchObject(parsed);
  });

  it.each([
    ['s3://', 'does not name a valid bucket'],
    ['s3://B_/x', 'does not name a valid bucket'],
    ['s3://key:secret@bucket', 'must not contain credentials'],
    ['s3://bucket/a/../b?x=1', 'has an unknown option x'],
    ['s3://bucket/a b', 'has a prefix with other characters'],
    ['s3://bucket?endpoint=ftp://x', 'has an endpoint that is not an http(s) URL'],
    ['s3://bucket?path_style=maybe', 'has a path_style that is neither'],
  ])('%s is refused', async (location, why) => {
    await expect(openEvidenceFiles(location)).rejects.toThrow(why);
  });

  it('is refused with another scheme than s3', async () => {
    await expect(openEvidenceFiles('gs://bucket')).rejects.toThrow('must be a folder or an s3:// URL');
  });
});

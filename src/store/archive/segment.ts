// The file of a segment: the tasks as MessagePack, compressed together with Brotli (RFC 7932), which finds what they have in
// common, and encrypted with AES-256-GCM under the key of the org's archive. Its bytes: the format version, 12 of the nonce,
// the ciphertext, 16 of the tag. A file is never changed.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, brotliDecompress, constants } from 'node:zlib';
import { pack, unpack } from 'msgpackr';
import type { ArchivedTask } from '../redis/archive.ts';
import { UnopenableError } from '../redis/sealing.ts';

const FORM = 1;
const NONCE = 12;
const TAG = 16;
/** Of 11: higher levels take ten times as long and save little. */
const LEVEL = 6;

const compress = promisify(brotliCompress);
const decompress = promisify(brotliDecompress);

/** An opened segment. */
export interface Segment {
  tasks: ReadonlyMap<string, ArchivedTask>;
  /** Bytes of the tasks when they are not compressed. */
  bytes: number;
}

/** The bytes of a segment's file. @param context must be given again to open it */
export async function sealSegment(
  tasks: readonly ArchivedTask[],
  key: Buffer,
  context: string,
): Promise<Buffer> {
  const plain = pack(tasks);
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: LEVEL,
    [constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
  };
  const packed = await compress(plain, { params });
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([Buffer.of(FORM), nonce, cipher.update(packed), cipher.final(), cipher.getAuthTag()]);
}

/** Reads the bytes of a segment's file. @throws UnopenableError when they were altered or are of a newer version */
export async function openSegment(bytes: Buffer, key: Buffer, context: string): Promise<Segment> {
  if (bytes[0] !== FORM) throw new UnopenableError('not a segment of a known format', null);
  const plain = await decompress(opened(bytes, key, context));
  const tasks = unpack(plain) as ArchivedTask[];
  return { tasks: new Map(tasks.map((one) => [one.task_id, one])), bytes: plain.length };
}

function opened(bytes: Buffer, key: Buffer, context: string): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(1, 1 + NONCE), {
      authTagLength: TAG,
    })
      .setAAD(Buffer.from(context))
      .setAuthTag(bytes.subarray(-TAG));
    return Buffer.concat([decipher.update(bytes.subarray(1 + NONCE, -TAG)), decipher.final()]);
  } catch {
    throw new UnopenableError('sealed with another key, altered or moved', null);
  }
}

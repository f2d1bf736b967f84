// The audit export: an NDJSON file that can be verified without the server that wrote it.
//
//   {"kind":"export", …}                  the org, the time range, and the key that signs
//   {"chain":…,"entry":…,"kind":"entry"}  entries of one chain, oldest first
//   {"chain":…,"kind":"head","n":1, …}    the last entry of that chain in the file, signed
//   …                                     more chains: first `org`, the audit log, then `task/<id>` for each task
//   {"chains":…,"kind":"end", …}          how many there are, signed
//
// Each line is RFC 8785 canonical JSON in UTF-8 with exactly the members listed here, and ends in a line feed. A file
// has only one valid spelling, so two readers cannot understand it differently.
//
// An entry is bound to the previous one by its hash, the last one of a chain by the signed head, the heads to each
// other by their number, and everything to the first line, whose hash is in each signature. So a line that is changed,
// missing, added or moved is detected. Signatures are Ed25519
// (RFC 8032) over the canonical JSON of the line without `signature`, with the hash as `export`.

import { type KeyObject, sign, verify } from 'node:crypto';
import { HISTORY_FIELDS } from '../tasks/history.ts';
import { canonicalText } from '../text/canonical.ts';
import { hasExactly } from '../text/json-scan.ts';
import { digestOf } from './audit.ts';

export interface ExportLine {
  kind: 'export';
  version: 1;
  org_id: string;
  /** Entries at or after `from` (null: from the beginning) and before `to`. */
  from: string | null;
  to: string;
  exported_at: string;
  key_id: string;
}

/** The fields that entries of all chains have. */
export interface Linked {
  sequence: number;
  previous_hash: string | null;
  hash: string;
}

/** The end of a chain within the file. */
export interface Head {
  /** Counts the chains of the file. */
  n: number;
  chain: string;
  /** Sequence of the first entry in the file, and the hash it is bound to; earlier entries are before `from`. */
  first: number;
  previous_hash: string | null;
  /** Sequence and hash of the last. */
  last: number;
  hash: string;
}

type Signed = ({ kind: 'head' } & Head) | { kind: 'end'; chains: number; entries: number };

/** Writes the lines of an export, each with its line break. */
export class ExportWriter {
  readonly #key: KeyObject;
  readonly #digest: string;
  readonly first: string;
  #chains = 0;
  #entries = 0;

  constructor(line: ExportLine, key: KeyObject) {
    this.#key = key;
    this.#digest = digestOf(line);
    this.first = written(line);
  }

  entry(chain: string, entry: Linked): string {
    this.#entries += 1;
    return written({ kind: 'entry', chain, entry });
  }

  head(head: Omit<Head, 'n'>): string {
    this.#chains += 1;
    return this.#signed({ kind: 'head', n: this.#chains, ...head });
  }

  end(): string {
    return this.#signed({ kind: 'end', chains: this.#chains, entries: this.#entries });
  }

  #signed(line: Signed): string {
    const signature = sign(null, signedBytes(line, this.#digest), this.#key).toString('base64url');
    return written({ ...line, signature });
  }
}

function written(line: object): string {
  return `${canonicalText(line)}\n`;
}

/** A fault of a line. */
export interface Fault {
  line: number;
  reason: string;
}

/** Verifies an export, line by line, in memory that does not grow with it. */
export class ExportCheck {
  /** Finds the public key of a key id; returns null for an unknown one. When null, signatures are not verified. */
  readonly #keyOf: ((keyId: string) => KeyObject | null) | null;
  /** The first line, once it has come. */
  header: ExportLine | null = null;
  lines = 0;
  entries = 0;
  chains = 0;
  #digest = '';
  #key: KeyObject | null = null;
  /** The chain that is being read. */
  #open: { chain: string; first: Linked; last: Linked } | null = null;
  #ended = false;

  constructor(keyOf: ((keyId: string) => KeyObject | null) | null) {
    this.#keyOf = keyOf;
  }

  /** Checks the next line, given without its line feed. @returns its fault; null when it is valid. */
  line(bytes: Uint8Array): Fault | null {
    this.lines += 1;
    const line = parse(bytes);
    const reason = typeof line === 'string' ? line : this.#judge(line);
    return reason === null ? null : { line: this.lines, reason };
  }

  /** Checks the end of the file. @param rest number of bytes after the last line feed. */
  end(rest = 0): Fault | null {
    if (rest > 0) return { line: this.lines + 1, reason: 'the line does not end in a line feed' };
    return this.#ended ? null : { line: this.lines + 1, reason: 'the file ends before its last line' };
  }

  #judge(line: Record<string, unknown>): string | null {
    if (this.#ended) return 'no line may follow the last one';
    if (this.header === null) return this.#begin(line);
    switch (line.kind) {
      case 'entry':
        return this.#entry(line);
      case 'head':
        return this.#head(line);
      case 'end':
        return this.#end(line);
      default:
        return 'a line of this kind does not belong here';
    }
  }

  #begin(line: Record<string, unknown>): string | null {
    if (!isHeader(line)) return 'this is not the first line of an export of version 1';
    this.header = line;
    this.#digest = digestOf(line);
    if (this.#keyOf === null) return null;
    this.#key = this.#keyOf(line.key_id);
    return this.#key === null ? `the key ${line.key_id} is not among the keys given` : null;
  }

  #entry(line: Record<string, unknown>): string | null {
    const { chain, entry } = line;
    if (!hasExactly(line, ['kind', 'chain', 'entry']) || typeof chain !== 'string' || !isLinked(entry))
      return 'this is not an entry';
    if (!hasExactly(entry, chain === 'org' ? AUDIT_MEMBERS : HISTORY_FIELDS))
      return 'the entry does not have the members of an entry';
    const { hash, ...rest } = entry;
    if (digestOf(rest) !== hash) return 'the entry is not what its hash says';
    if (!this.#isInRange(entry)) return 'the entry is outside the time range of the export';
    const open = this.#open;
    if (open === null) this.#open = { chain, first: entry, last: entry };
    else {
      if (open.chain !== chain) return `the head of ${open.chain} is missing before this line`;
      if (entry.sequence !== open.last.sequence + 1 || entry.previous_hash !== open.last.hash)
        return 'the entry does not follow from the one before';
      open.last = entry;
    }
    this.entries += 1;
    return null;
  }

  #isInRange(entry: object): boolean {
    const at = 'at' in entry ? entry.at : null;
    const { from = null, to = '' } = this.header ?? {};
    return isTime(at) && (from === null || at >= from) && at < to;
  }

  #head(line: Record<string, unknown>): string | null {
    if (!hasExactly(line, HEAD_MEMBERS)) return 'this is not a head';
    const open = this.#open;
    this.#open = null;
    this.chains += 1;
    const place = `the end of ${String(line.chain)}`;
    if (!this.#isSigned(line)) return `${place} is not what its signature says`;
    if (line.n !== this.chains) return `${place} is number ${line.n} and should be ${this.chains}`;
    if (open === null || open.chain !== line.chain) return `the entries of ${String(line.chain)} are missing`;
    if (line.first !== open.first.sequence || line.previous_hash !== open.first.previous_hash)
      return `${String(line.chain)} begins with entry ${String(line.first)}, which is missing`;
    if (line.last !== open.last.sequence)
      return `${String(line.chain)} ends with entry ${String(line.last)}, which is missing`;
    if (line.hash !== open.last.hash) return `${String(line.chain)} does not end with this hash`;
    return null;
  }

  #end(line: Record<string, unknown>): string | null {
    if (!hasExactly(line, ['kind', 'chains', 'entries', 'signature'])) return 'this is not the last line';
    if (this.#open !== null) return `the head of ${this.#open.chain} is missing before this line`;
    if (!this.#isSigned(line)) return 'the last line is not what its signature says';
    if (line.chains !== this.chains)
      return `there should be ${String(line.chains)} chains, not ${this.chains}`;
    if (line.entries !== this.entries)
      return `there should be ${String(line.entries)} entries, not ${this.entries}`;
    this.#ended = true;
    return null;
  }

  #isSigned({ signature, ...line }: Record<string, unknown>): boolean {
    const bytes = typeof signature === 'string' ? Buffer.from(signature, 'base64url') : null;
    // Other texts decode to the same bytes: with padding, another alphabet, or leftover bits.
    if (bytes === null || bytes.length !== 64 || bytes.toString('base64url') !== signature) return false;
    return this.#key === null || verify(null, signedBytes(line, this.#digest), this.#key, bytes);
  }
}

function signedBytes(line: object, digest: string): Buffer {
  return Buffer.from(canonicalText({ ...line, export: digest }));
}

const HEAD_MEMBERS = ['kind', 'n', 'chain', 'first', 'previous_hash', 'last', 'hash', 'signature'];
const AUDIT_MEMBERS = ['sequence', 'at', 'actor', 'action', 'target', 'data', 'previous_hash', 'hash'];
const HEADER_MEMBERS = ['kind', 'version', 'org_id', 'from', 'to', 'exported_at', 'key_id'];

/** Parses a line; returns a reason when it is not canonical JSON of an object. */
function parse(bytes: Uint8Array): Record<string, unknown> | string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'this is no JSON object';
    if (canonicalText(value) !== text) return 'the line is not written as RFC 8785 says';
    return value as Record<string, unknown>;
  } catch {
    return 'this is no JSON object';
  }
}

/** Whether the value is a time in the form of entries, so that times sort as text. */
function isTime(value: unknown): value is string {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);
}

function isHeader(line: object): line is ExportLine {
  const { kind, version, org_id, from, to, exported_at, key_id } = line as Partial<Record<string, unknown>>;
  return (
    hasExactly(line, HEADER_MEMBERS) &&
    kind === 'export' &&
    version === 1 &&
    typeof org_id === 'string' &&
    (from === null || isTime(from)) &&
    isTime(to) &&
    isTime(exported_at) &&
    typeof key_id === 'string'
  );
}

function isLinked(value: unknown): value is Linked & Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'sequence' in value &&
    'hash' in value &&
    'previous_hash' in value &&
    typeof value.sequence === 'number' &&
    Number.isSafeInteger(value.sequence) &&
    value.sequence > 0 &&
    typeof value.hash === 'string' &&
    (value.sequence === 1 ? value.previous_hash === null : typeof value.previous_hash === 'string')
  );
}

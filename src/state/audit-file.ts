// The file that an auditor takes away: NDJSON, verified without the server that wrote it.
//
//   {"kind":"export", …}               what was asked for, of whom, and the key that signs
//   {"kind":"entry","chain":…,"entry"} entries of one chain, oldest first
//   {"kind":"head","n":1,"chain":…}    where that chain ends within the file, signed
//   …                                  the next chain: `org`, the audit log, first, then `task/<id>` each
//   {"kind":"end","chains":…}          how many there are, signed
//
// An entry is bound to the one before by its hash, the last one of a chain by the signed head, the heads to
// each other by their number, and everything to the first line, whose hash is in each signature. So a line
// that is changed, missing, added or moved shows, at itself or where it is missed. Signatures are Ed25519
// (RFC 8032) over the RFC 8785 canonical JSON of the line without `signature`, with the hash as `export`.

import { type KeyObject, sign, verify } from 'node:crypto';
import canonicalize from 'canonicalize';
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

/** What an entry of any chain has. */
export interface Linked {
  sequence: number;
  previous_hash: string | null;
  hash: string;
}

/** Where a chain ends within the file. */
export interface Head {
  /** Counts the chains of the file. */
  n: number;
  chain: string;
  /** Sequence of the first entry in the file, and what it is bound to; earlier ones are before `from`. */
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
    this.first = `${JSON.stringify(line)}\n`;
  }

  entry(chain: string, entry: Linked): string {
    this.#entries += 1;
    return `${JSON.stringify({ kind: 'entry', chain, entry })}\n`;
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
    return `${JSON.stringify({ ...line, signature })}\n`;
  }
}

/** What is wrong with a line of a file. */
export interface Fault {
  line: number;
  reason: string;
}

/** Verifies an export, line by line, in memory that does not grow with it. */
export class ExportCheck {
  /** Finds the public key of a key id; null for one it does not know. Without it signatures are not looked at. */
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

  /** The next line, without its break. @returns what is wrong with it; null when it fits all before it. */
  line(text: string): Fault | null {
    this.lines += 1;
    const reason = this.#judge(parse(text));
    return reason === null ? null : { line: this.lines, reason };
  }

  /** After the last line. */
  end(): Fault | null {
    return this.#ended ? null : { line: this.lines + 1, reason: 'the file ends before its last line' };
  }

  #judge(line: Record<string, unknown> | null): string | null {
    if (line === null) return 'this is no JSON object';
    if (this.#ended) return 'nothing may follow the end';
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
    if (line.kind !== 'export' || line.version !== 1 || typeof line.key_id !== 'string')
      return 'this is not the first line of an export of version 1';
    this.header = line as unknown as ExportLine;
    this.#digest = digestOf(line);
    if (this.#keyOf === null) return null;
    this.#key = this.#keyOf(line.key_id);
    return this.#key === null ? `the key ${line.key_id} is not among the keys given` : null;
  }

  #entry({ kind: _kind, chain, entry, ...more }: Record<string, unknown>): string | null {
    if (typeof chain !== 'string' || !isLinked(entry) || Object.keys(more).length > 0)
      return 'this is not an entry';
    const { hash, ...rest } = entry;
    if (digestOf(rest) !== hash) return 'the entry is not what its hash says';
    if (!this.#isInRange(entry)) return 'the entry is not of the time of the export';
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
    const at = 'at' in entry ? String(entry.at) : '';
    const { from = null, to = '' } = this.header ?? {};
    return (from === null || at >= from) && at < to;
  }

  #head(line: Record<string, unknown>): string | null {
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
    if (typeof signature !== 'string') return false;
    if (this.#key === null) return true;
    return verify(null, signedBytes(line, this.#digest), this.#key, Buffer.from(signature, 'base64url'));
  }
}

function signedBytes(line: object, digest: string): Buffer {
  return Buffer.from(canonicalize({ ...line, export: digest }) ?? '');
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function isLinked(value: unknown): value is Linked & Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'sequence' in value &&
    'hash' in value &&
    'previous_hash' in value &&
    Number.isInteger(value.sequence) &&
    typeof value.hash === 'string'
  );
}

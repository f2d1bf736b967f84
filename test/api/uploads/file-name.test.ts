// Untrusted file names and media types: the result is always harmless, and a second pass does not change it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { safeFileName, safeMediaType } from '../../../src/api/uploads/file-name.ts';

describe('a file name', () => {
  it.each([
    ['report.pdf', 'report.pdf'],
    ['/etc/passwd', 'passwd'],
    ['a/b\\c.txt', 'c.txt'],
    ['a/', 'a'],
    ['../../..', 'file'],
    ['/', 'file'],
    ['...', 'file'],
    [' . . ', 'file'],
    ['name. ', 'name_'],
    ['..hidden', 'hidden'],
    ['a\u0000b\u0007c\u007f\u0085d', 'abcd'],
    ['line\nbreak\u2028s', 'linebreaks'],
    ['gpj.\u202Eexe', 'gpj.exe'],
    ['zero\u200Bwidth\uFEFF', 'zerowidth'],
    ['half\uD800pair', 'halfpair'],
    ['<a>:"b"|c?*', '_a___b__c__'],
    ['nul', '_'],
    ['Com1.txt', '_'],
    ['e\u0301.txt', '\u00e9.txt'],
    ['a   \t b', 'a b'],
  ])('%j becomes %j', (given, safe) => {
    expect(safeFileName(given)).toBe(safe);
  });

  it('keeps its extension and whole characters when it is shortened', () => {
    const name = safeFileName(`${'🦊'.repeat(100)}.tar.gz`);
    expect(name).toBe(`${'🦊'.repeat(49)}.gz`);
    expect(Buffer.byteLength(safeFileName(`a.${'b'.repeat(5000)}`))).toBe(200);
  });

  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.string({ unit: 'grapheme', maxLength: 300 }),
    fc
      .array(
        fc.constantFrom('..', '.', '/', '\\', ' ', '"', '\r\n', '\0', '\u202E', 'é', 'a', 'con', '\uDC00'),
        { maxLength: 40 },
      )
      .map((parts) => parts.join('')),
  );

  it('is never a path, empty, too long or invisible, and safe names are unchanged', () => {
    fc.assert(
      fc.property(text, (given) => {
        const name = safeFileName(given);
        expect(name).not.toMatch(/[/\\:"<>|?*]|^\.|^\s|[.\s]$|[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(name).not.toBe('');
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200);
        expect(safeFileName(name)).toBe(name);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a media type', () => {
  it.each([
    ['application/pdf', 'application/pdf'],
    ['Text/HTML ; charset="utf-8"', 'text/html'],
    ['application/vnd.api+json', 'application/vnd.api+json'],
    [undefined, 'application/octet-stream'],
    ['', 'application/octet-stream'],
    ['text', 'application/octet-stream'],
    ['text/', 'application/octet-stream'],
    ['text/html\r\nX: y', 'application/octet-stream'],
    ['a b/c', 'application/octet-stream'],
    ['*/*', 'application/octet-stream'],
    ['multipart/form-data', 'application/octet-stream'],
    ['message/rfc822', 'application/octet-stream'],
  ])('%j becomes %j', (given, safe) => {
    expect(safeMediaType(given)).toBe(safe);
  });
});

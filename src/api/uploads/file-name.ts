// Safe names and media types of uploaded files. The uploader chooses both, and another user saves the file under that
// name. So a name is reduced to one that is harmless on every system, and an invalid media type becomes
// application/octet-stream. Neither is used as a path on the server.

import sanitize from 'sanitize-filename';

/** Longest name in bytes of UTF-8: every file system accepts it, even with a suffix such as " (1)". */
const NAME_BYTES = 200;
const NAMELESS = 'file';
const UNKNOWN_TYPE = 'application/octet-stream';

/** A safe file name from any text: its last path segment, without invisible, reserved or misleading characters. */
export function safeFileName(given: string): string {
  const step =
    given
      .slice(0, 10_000)
      .split(/[/\\]/)
      .findLast((one) => /[^.\s]/.test(one)) ?? '';
  // Control characters, direction overrides and other invisible characters, lone surrogates, line separators.
  const visible = step.normalize('NFC').replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '');
  const name = shortened(visible.replaceAll(/\s+/gu, ' ').trim());
  return sanitize(name.replace(/^[. ]+/, ''), { replacement: '_' }) || NAMELESS;
}

/** The essence of a media type in lower case (RFC 6838, section 4.2), or application/octet-stream when it is invalid. */
export function safeMediaType(given: string | undefined): string {
  const [essence = ''] = (given ?? '').split(';');
  const type = essence.trim().toLowerCase();
  if (!/^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/.test(type)) return UNKNOWN_TYPE;
  // A client would parse the content of these types.
  return /^(multipart|message)\//.test(type) ? UNKNOWN_TYPE : type;
}

/** The name cut to at most `NAME_BYTES`, keeping the extension. */
function shortened(name: string): string {
  if (Buffer.byteLength(name) <= NAME_BYTES) return name;
  const [extension = ''] = /\.[\p{L}\p{N}]{1,16}$/u.exec(name) ?? [];
  let room = NAME_BYTES - Buffer.byteLength(extension);
  let cut = '';
  for (const character of name.slice(0, name.length - extension.length)) {
    room -= Buffer.byteLength(character);
    if (room < 0) break;
    cut += character;
  }
  return cut.trimEnd() + extension;
}

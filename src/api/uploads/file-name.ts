// What a file may be called and say of itself. Whoever uploads chooses both freely, and somebody else saves
// the file under that name; so a name becomes one that is harmless on every system, and a media type that
// is none becomes the one for bytes of no known kind. Neither ever names anything on the server.

import sanitize from 'sanitize-filename';

/** Longest name in bytes of UTF-8: what every file system takes, with room for a " (1)". */
const NAME_BYTES = 200;
const NAMELESS = 'file';
const UNKNOWN_TYPE = 'application/octet-stream';

/** A name to save a file under, made from any text: its last path step, without what is invisible, reserved or misleading. */
export function safeFileName(given: string): string {
  const step =
    given
      .slice(0, 10_000)
      .split(/[/\\]/)
      .findLast((one) => /[^.\s]/.test(one)) ?? '';
  // Controls, direction overrides and other invisible signs, half surrogates, line separators.
  const visible = step.normalize('NFC').replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '');
  const name = shortened(visible.replaceAll(/\s+/gu, ' ').trim());
  return sanitize(name.replace(/^[. ]+/, ''), { replacement: '_' }) || NAMELESS;
}

/** The essence of a media type in lower case (RFC 6838, section 4.2), or that of unknown bytes. */
export function safeMediaType(given: string | undefined): string {
  const [essence = ''] = (given ?? '').split(';');
  const type = essence.trim().toLowerCase();
  if (!/^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/.test(type)) return UNKNOWN_TYPE;
  // These promise a structure that a client would take apart.
  return /^(multipart|message)\//.test(type) ? UNKNOWN_TYPE : type;
}

/** At most `NAME_BYTES`, cut before the extension. */
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

// Shortens text without splitting characters.

/** A surrogate without its pair. */
const HALF = /\p{Surrogate}/gu;

/** The first `most` UTF-16 units of a text, or one less where that would split a surrogate pair. */
export function shortened(text: string, most: number): string {
  if (text.length <= most) return text;
  const last = text.charCodeAt(most - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? most - 1 : most);
}

/** The same, with `…` as its last character where it was cut. */
export function elided(text: string, most: number): string {
  return text.length <= most ? text : `${shortened(text, most - 1)}…`;
}

/** The text without lone surrogates, which are left where a text was cut elsewhere. */
export function wholeCharacters(text: string): string {
  return text.replaceAll(HALF, '');
}

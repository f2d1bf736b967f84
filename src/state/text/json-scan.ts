// Goes over valid JSON as it was written: what `JSON.parse` drops, such as the digits of a number or a member name that
// comes twice, is still there. Takes time linear in the text and does not recurse.

/** What leads to a value: member names and indexes. */
export type JsonPath = readonly (string | number)[];

/** Called for what is found; `path` makes the path of the value, or of the object with the names. Answer true to stop. */
export interface JsonVisitor {
  number?(text: string, path: () => JsonPath): boolean;
  /** A member name that its object had already. */
  repeatedName?(name: string, path: () => JsonPath): boolean;
}

interface Level {
  /** Of an object, the names so far; null for an array. */
  names: Set<string> | null;
  /** The current member or item. */
  at: string | number;
}

const NUMBER = /[-+.\deE]*/y;

/** Visits the numbers and repeated names of a text that `JSON.parse` takes. */
export function scanJson(json: string, visitor: JsonVisitor): void {
  const levels: Level[] = [];
  const path = () => levels.map(({ at }) => at);
  let level: Level | undefined;
  let isName = false;
  for (let index = 0; index < json.length; index += 1) {
    const character = json[index] ?? '';
    if (character === '"') {
      const end = endOfString(json, index);
      if (isName && level?.names != null) {
        isName = false;
        const name = JSON.parse(json.slice(index, end + 1)) as string;
        if (level.names.has(name) && visitor.repeatedName?.(name, () => path().slice(0, -1))) return;
        level.names.add(name);
        level.at = name;
      }
      index = end;
    } else if (character === '{' || character === '[') {
      isName = character === '{';
      level = { names: isName ? new Set() : null, at: isName ? '' : 0 };
      levels.push(level);
    } else if (character === '}' || character === ']') {
      isName = false;
      levels.pop();
      level = levels.at(-1);
    } else if (character === ',') {
      isName = level?.names != null;
      if (level !== undefined && typeof level.at === 'number') level.at += 1;
    } else if (character === '-' || (character >= '0' && character <= '9')) {
      NUMBER.lastIndex = index;
      const text = NUMBER.exec(json)?.[0] ?? character;
      if (visitor.number?.(text, path)) return;
      index += text.length - 1;
    }
  }
}

/** Where the string that begins at `start` has its closing quote. */
function endOfString(json: string, start: number): number {
  let end = start;
  for (;;) {
    end = json.indexOf('"', end + 1);
    let backslash = end;
    while (json[backslash - 1] === '\\') backslash -= 1;
    if ((end - backslash) % 2 === 0) return end;
  }
}

/** Whether an object has these fields and no others. */
export function hasExactly(value: object, names: readonly string[]): boolean {
  return Object.keys(value).length === names.length && names.every((name) => Object.hasOwn(value, name));
}

/**
 * What two readers of a valid JSON text may read differently: a member name that comes twice in one object, or a number
 * that is not written as RFC 8785 says. @returns the first of them in words; null when there is none.
 */
export function ambiguityOf(json: string): string | null {
  let found: string | null = null;
  scanJson(json, {
    repeatedName(name) {
      found = `the member ${JSON.stringify(name)} comes twice in one object`;
      return true;
    },
    number(text) {
      if (String(Number(text)) !== text) found = `the number ${text} is not in its one form`;
      return found !== null;
    },
  });
  return found;
}

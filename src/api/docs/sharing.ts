// Parameters and examples that several operations of the OpenAPI document have in common become components.

import type { Json } from './components.ts';

/** An example shorter than this, in characters of JSON, stays where it is. */
const MIN_LENGTH = 300;

type Place = { replace(reference: Json): void };

/**
 * Replaces what several operations of `paths` have in common by references. Changes `paths`.
 * @returns the components to which they refer
 */
export function shareParts(paths: Record<string, Json>): {
  parameters: Record<string, Json>;
  examples: Record<string, Json>;
} {
  const parameters = new Parts('parameters');
  const examples = new Parts('examples');
  for (const operation of Object.values(paths).flatMap((methods) => Object.values(methods) as Json[])) {
    const own = operation.parameters as Json[];
    for (const [index, one] of own.entries())
      if (typeof one.name === 'string')
        parameters.add(one.name, one, {
          replace(reference) {
            own[index] = reference;
          },
        });
    for (const body of [operation.requestBody, ...Object.values(operation.responses as Json)]) {
      const json = ((body as Json | undefined)?.content as Json | undefined)?.['application/json'];
      if (json !== undefined) addExample(examples, json as Json);
    }
  }
  return { parameters: parameters.share(), examples: examples.share() };
}

function addExample(examples: Parts, media: Json): void {
  const { schema, example } = media as { schema: Json; example: unknown };
  const name = String(schema.$ref ?? '')
    .split('/')
    .at(-1);
  if (name === undefined || name === '' || JSON.stringify(example).length < MIN_LENGTH) return;
  examples.add(
    name,
    { value: example },
    {
      replace(reference) {
        delete media.example;
        media.examples = { [name]: reference };
      },
    },
  );
}

/** Parts of a document by name and content. */
class Parts {
  readonly #kind: string;
  readonly #byName = new Map<string, Map<string, Place[]>>();

  constructor(kind: string) {
    this.#kind = kind;
  }

  add(name: string, part: Json, place: Place): void {
    const forms = this.#byName.get(name) ?? new Map<string, Place[]>();
    const text = JSON.stringify(part);
    forms.set(text, [...(forms.get(text) ?? []), place]);
    this.#byName.set(name, forms);
  }

  /** Of the parts with one name, the most frequent becomes a component; the others stay. */
  share(): Record<string, Json> {
    const shared: Record<string, Json> = {};
    for (const [name, forms] of this.#byName) {
      const [[text, places] = ['', []]] = [...forms].sort(([, a], [, b]) => b.length - a.length);
      if (places.length < 2) continue;
      shared[name] = JSON.parse(text) as Json;
      for (const place of places) place.replace({ $ref: `#/components/${this.#kind}/${name}` });
    }
    return shared;
  }
}

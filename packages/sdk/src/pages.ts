// A list: awaited, it is one page; iterated, all items of all pages.

interface PageShape {
  data: unknown[];
  /** The list of events has a cursor on its last page too. */
  has_more: boolean;
  next_cursor: string | null;
}

/**
 * The answer of a list. `await` gives the first page; `for await` gives every item and asks for further pages as needed.
 * Nothing is sent before one of the two.
 */
export class PagePromise<Page, Item> implements PromiseLike<Page>, AsyncIterable<Item> {
  readonly #load: (cursor: string | null) => Promise<unknown>;
  #first: Promise<Page> | null = null;

  /** @param load gets the page at a cursor; null is the first page */
  constructor(load: (cursor: string | null) => Promise<unknown>) {
    this.#load = load;
  }

  // biome-ignore lint/suspicious/noThenProperty: a list can be awaited
  then<A = Page, B = never>(
    onPage?: ((page: Page) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#first ??= this.#load(null) as Promise<Page>;
    return this.#first.then(onPage, onError);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item> {
    for await (const page of this.pages()) yield* (page as PageShape).data as Item[];
  }

  /** The pages, one after the other. */
  async *pages(): AsyncGenerator<Page, void> {
    let cursor: string | null = null;
    let more = true;
    while (more) {
      const page = await this.#load(cursor);
      ({ next_cursor: cursor, has_more: more } = page as PageShape);
      yield page as Awaited<Page>;
    }
  }
}

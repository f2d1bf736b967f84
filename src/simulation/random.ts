// Random numbers from a seed, so that a simulation or a trial can be repeated.

import { hash } from 'node:crypto';

/** A sequence of random numbers that depends on its seed alone. The generator is Mulberry32, which is not for secrets. */
export class Random {
  readonly #seed: string;
  #state: number;

  constructor(seed: string | number) {
    this.#seed = String(seed);
    this.#state = Number.parseInt(hash('sha256', this.#seed, 'hex').slice(0, 8), 16);
  }

  /** A sequence of its own for one actor: what others draw does not change it. */
  of(actor: string): Random {
    return new Random(`${this.#seed}/${actor}`);
  }

  /** A number from 0 inclusive to 1 exclusive. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from `low` to `high`, both inclusive. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** One of the names, each as likely as its weight. @throws Error when no weight is positive */
  weighted<Name extends string>(weights: Readonly<Partial<Record<Name, number>>>): Name {
    const entries = Object.entries(weights) as [Name, number][];
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    throw new Error('there is nothing to choose from');
  }
}

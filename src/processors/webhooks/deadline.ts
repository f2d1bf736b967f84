// The time limit of one attempt. Most attempts find an open connection and need no AbortSignal, which with its listeners takes
// longer to make than a signature, so there is one only where a socket is opened or waited for.

export class Deadline {
  readonly #timer: NodeJS.Timeout;
  readonly #reason: () => Error;
  #passed: Error | null = null;
  #controller: AbortController | null = null;
  /** Called with the reason when the time runs out; set by the step of the attempt that is under way. */
  onPassed: ((reason: Error) => void) | null = null;

  /** Starts the time. @param ms until it runs out. @param reason makes the error that is reported then */
  constructor(ms: number, reason: () => Error) {
    this.#reason = reason;
    this.#timer = setTimeout(() => this.#pass(), ms);
  }

  /** Whether the time has run out. */
  get hasPassed(): boolean {
    return this.#passed !== null;
  }

  /** Aborts when the time runs out, with the same reason. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#passed !== null) this.#controller.abort(this.#passed);
    return this.#controller.signal;
  }

  /** @throws the reason if the time has run out */
  throwIfPassed(): void {
    if (this.#passed !== null) throw this.#passed;
  }

  /** Cancels the time limit. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #pass(): void {
    const reason = this.#reason();
    this.#passed = reason;
    this.#controller?.abort(reason);
    this.onPassed?.(reason);
  }
}

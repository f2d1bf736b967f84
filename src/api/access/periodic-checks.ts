// Checks long requests again and again while they run. Requests whose check depends on the same (credential, permissions, address)
// are checked together: a client with a hundred streams costs one check in each interval, not a hundred.

/** Interval between checks, ms. Together with the age of the authenticator's cache it stays below one second. */
export const CHECK_INTERVAL_MS = 750;
/** Most that is added to it at random, ms, since thousands of requests may have started together. */
const JITTER_MS = 100;

/** A long request. */
export interface CheckedRequest {
  /** Whether its caller is still admitted. Never rejects. */
  isAdmitted(): Promise<boolean>;
  /** Called when the caller of a request with the same key is not: this one decides for itself. */
  recheck(): void;
}

interface Group {
  readonly requests: Set<CheckedRequest>;
  readonly timer: NodeJS.Timeout;
}

export class PeriodicChecks {
  readonly #groups = new Map<string, Group>();

  /**
   * Checks a request from now on, together with the others of the same key.
   * @param key names all that the check depends on. @returns a function that ends this
   */
  join(key: string, request: CheckedRequest): () => void {
    const group = this.#groups.get(key) ?? this.#start(key);
    group.requests.add(request);
    return () => {
      group.requests.delete(request);
      if (group.requests.size > 0 || this.#groups.get(key) !== group) return;
      clearInterval(group.timer);
      this.#groups.delete(key);
    };
  }

  #start(key: string): Group {
    const requests = new Set<CheckedRequest>();
    const timer = setInterval(() => void checkOne(requests), CHECK_INTERVAL_MS + Math.random() * JITTER_MS);
    const group = { requests, timer };
    this.#groups.set(key, group);
    return group;
  }
}

/** Checks one of the requests for all, and when it is not admitted each for itself: the one may have just been closed. */
async function checkOne(requests: ReadonlySet<CheckedRequest>): Promise<void> {
  const [first] = requests;
  if (first === undefined || (await first.isAdmitted())) return;
  for (const request of [...requests]) request.recheck();
}

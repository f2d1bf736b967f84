// Whether the session has ended. Kept outside React, because answers to requests change it.

let hasEnded = false;
const listeners = new Set<() => void>();

function set(value: boolean): void {
  if (hasEnded === value) return;
  hasEnded = value;
  for (const listener of listeners) listener();
}

/** An answer was 401: the session has ended, or the person was signed out elsewhere. */
export function noteSessionEnd(): void {
  set(true);
}

/** The person has signed in again. */
export function noteSessionStart(): void {
  set(false);
}

export function sessionHasEnded(): boolean {
  return hasEnded;
}

export function onSessionChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// Which events a task's own callback URL receives.

interface WithHandoff {
  input: { handoff?: { callback_url?: string | undefined; events: readonly string[] } | undefined };
}

/** Whether the task has a callback URL that wants events of this type. */
export function callbackWants({ input: { handoff } }: WithHandoff, event: { type: string }): boolean {
  return handoff?.callback_url !== undefined && handoff.events.some((one) => one === event.type);
}

// Who did something, as histories name them: `worker:<id>`, `api_key:<id>`, `member:<id>`, `system`.

import { useTaskText } from '../messages.ts';
import { useMemberName, useWorkerName } from '../people.ts';

/** A function from an actor to words. */
export function useActorName(): (actor: string) => string {
  const kinds: Partial<Record<string, string>> = useTaskText().timeline.actors;
  const workerName = useWorkerName();
  const memberName = useMemberName();
  return (actor) => {
    const at = actor.indexOf(':');
    const kind = at < 0 ? actor : actor.slice(0, at);
    const id = at < 0 ? '' : actor.slice(at + 1);
    if (kind === 'worker' && id !== '') return workerName(id);
    const member = kind === 'member' ? memberName(id) : undefined;
    if (member !== undefined) return member;
    const word = kinds[kind] ?? kind;
    // The end of an id differs most.
    return id === '' ? word : `${word} …${id.slice(-6)}`;
  };
}

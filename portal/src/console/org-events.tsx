// The events of the org in this page: one stream for all tabs. What they change is renewed at most every few seconds, so that
// a busy org does not make the page ask all the time.

import { createContext, type ReactNode, useContext, useEffect, useState } from 'react';
import { queries } from '../shared/api/queries.tsx';
import { type Connection, shareStream } from '../shared/api/stream.ts';
import type { ConsoleSession } from './session.ts';

/** Longest time that a page shows data which an event has changed, ms. */
const RENEWED_WITHIN = 2000;
/** How often data is renewed when there is no stream, ms. */
const POLL = 20_000;

/** First part of the keys of queries that depend on tasks; the second part is the id of the task, if it is of one task. */
export const TASKS_KEY = 'tasks';
export const TASK_KEY = 'task';

const Context = createContext<Connection>('connecting');

/** Whether this page hears of changes as they happen. */
export function useConnection(): Connection {
  return useContext(Context);
}

/** Follows the events as long as it is shown. Without the scope `events:read`, it renews the data from time to time. */
export function OrgEvents({
  session,
  mayFollow,
  children,
}: {
  session: ConsoleSession;
  mayFollow: boolean;
  children: ReactNode;
}) {
  const [connection, setConnection] = useState<Connection>('connecting');
  const { org_id, member_id } = session;
  useEffect(() => {
    if (!mayFollow) {
      const timer = setInterval(renewAll, POLL);
      return () => clearInterval(timer);
    }
    const renewal = new Renewal();
    const stop = shareStream({
      name: `console-${org_id}-${member_id}`,
      open: (client, signal) => client.events.stream({}, { signal }),
      onEvent: ({ data }) => renewal.note('task_id' in data ? data.task_id : null),
      onConnection: (next) => {
        setConnection(next);
        // Events may have been missed.
        if (next === 'live') renewAll();
      },
    });
    return () => {
      stop();
      renewal.stop();
    };
  }, [org_id, member_id, mayFollow]);
  return <Context value={connection}>{children}</Context>;
}

function renewAll(): void {
  void queries.invalidateQueries({ queryKey: [TASKS_KEY] });
  void queries.invalidateQueries({ queryKey: [TASK_KEY] });
}

/** Collects changed tasks, and renews what is shown of them soon. */
class Renewal {
  readonly #changed = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  note(taskId: string | null): void {
    if (taskId !== null) this.#changed.add(taskId);
    this.#timer ??= setTimeout(() => this.#renew(), RENEWED_WITHIN);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #renew(): void {
    this.#timer = undefined;
    void queries.invalidateQueries({ queryKey: [TASKS_KEY] });
    for (const id of this.#changed) void queries.invalidateQueries({ queryKey: [TASK_KEY, id] });
    this.#changed.clear();
  }
}

// What the worker's pages read: queries of the API, kept current by the worker's stream.

import type { EndedOffer, LostTask, Offer, Worker, WorkerEvent, WorkerTask } from '@biolayer/sdk';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { api } from '../shared/api/client.ts';
import { queries } from '../shared/api/queries.tsx';

const KEYS = {
  worker: ['worker'],
  offers: ['offers'],
  tasks: ['tasks'],
  task: (id: string) => ['task', id],
  messages: (id: string) => ['messages', id],
  evidence: (id: string) => ['evidence', id],
  history: ['history'],
} as const;

/** Queries that the stream keeps current are renewed only when it was interrupted. */
const LIVE = { staleTime: 5 * 60_000 };

export function useWorker() {
  return useQuery({ queryKey: KEYS.worker, queryFn: () => api.worker.get(), ...LIVE });
}

/** The pending offers, the one that ends first at the front. */
export function useOffers() {
  return useQuery({
    queryKey: KEYS.offers,
    queryFn: async () => (await api.worker.listOffers()).data,
    select: (offers) =>
      offers.toSorted((one, other) => Date.parse(one.expires_at) - Date.parse(other.expires_at)),
    ...LIVE,
  });
}

export function useTasks() {
  return useQuery({
    queryKey: KEYS.tasks,
    queryFn: async () => (await api.worker.listTasks()).data,
    ...LIVE,
  });
}

export function useTask(id: string) {
  return useQuery({ queryKey: KEYS.task(id), queryFn: () => api.worker.getTask(id), ...LIVE });
}

/** All messages of a task, oldest first. */
export function useTaskMessages(id: string) {
  return useQuery({
    queryKey: KEYS.messages(id),
    queryFn: async () => {
      const all = [];
      for await (const message of api.worker.listMessages(id, { limit: 200 })) all.push(message);
      return all;
    },
  });
}

export function useEvidence(id: string) {
  return useQuery({
    queryKey: KEYS.evidence(id),
    queryFn: async () => (await api.worker.listEvidence(id)).data,
  });
}

export function useHistory() {
  return useInfiniteQuery({
    queryKey: KEYS.history,
    initialPageParam: '',
    queryFn: async ({ pageParam }) =>
      await api.worker.listHistory({ limit: 50, ...(pageParam !== '' && { cursor: pageParam }) }),
    getNextPageParam: (page) => page.next_cursor,
  });
}

export function setWorker(worker: Worker): void {
  // An answer that is under way is older.
  void queries.cancelQueries({ queryKey: KEYS.worker });
  queries.setQueryData(KEYS.worker, worker);
}

export function setTask(task: WorkerTask): void {
  void queries.cancelQueries({ queryKey: KEYS.task(task.task_id) });
  queries.setQueryData(KEYS.task(task.task_id), task);
  void queries.invalidateQueries({ queryKey: KEYS.tasks });
  void queries.invalidateQueries({ queryKey: KEYS.history });
}

export function forgetOffer(offerId: string): void {
  queries.setQueryData<Offer[]>(KEYS.offers, (all) => all?.filter((one) => one.offer_id !== offerId));
}

export function forgetTask(taskId: string): void {
  queries.setQueryData<WorkerTask[]>(KEYS.tasks, (all) => all?.filter((one) => one.task_id !== taskId));
  queries.removeQueries({ queryKey: KEYS.task(taskId) });
}

export function renew(what: 'messages' | 'evidence' | 'task', id: string): Promise<void> {
  return queries.invalidateQueries({ queryKey: KEYS[what](id) });
}

export function renewAll(): void {
  void queries.invalidateQueries();
}

/** Brings what the pages show up to date with an event of the worker's stream. @returns an offer that is new */
export function applyEvent(event: WorkerEvent): Offer | null {
  switch (event.type) {
    case 'offer':
      return addOffer(event.data as Offer);
    case 'offer_ended':
      forgetOffer((event.data as EndedOffer).offer_id);
      return null;
    case 'task': {
      const task = event.data as WorkerTask;
      setTask(task);
      void renew('messages', task.task_id);
      return null;
    }
    case 'task_gone': {
      const { task_id } = event.data as LostTask;
      void queries.invalidateQueries({ queryKey: KEYS.tasks });
      void renew('task', task_id);
      return null;
    }
    case 'worker':
      setWorker(event.data as Worker);
      return null;
    case 'reset':
      renewAll();
      return null;
  }
}

function addOffer(offer: Offer): Offer | null {
  const all = queries.getQueryData<Offer[]>(KEYS.offers) ?? [];
  const isNew = !all.some((one) => one.offer_id === offer.offer_id);
  queries.setQueryData<Offer[]>(KEYS.offers, [
    ...all.filter((one) => one.offer_id !== offer.offer_id),
    offer,
  ]);
  // The answer to a request that is under way does not have it, so it is asked for again.
  void queries.invalidateQueries({ queryKey: KEYS.offers });
  return isNew ? offer : null;
}

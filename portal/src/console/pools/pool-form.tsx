// The form of a pool, for a new one and for a change.

import { ApiError, type Pool } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { queries } from '../../shared/api/queries.tsx';
import { ifMatch, type Versioned } from '../../shared/api/versioned.ts';
import { type FieldFault, useForm } from '../../shared/forms/use-form.ts';
import type { consoleWorkers } from '../../shared/i18n/en/console-workers.ts';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Banner } from '../../shared/ui/containers.tsx';
import { Choice, FieldGroup, TextField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useConsoleWorkers } from '../messages.ts';
import { readPool } from './pool-data.ts';
import { PoolSettings } from './pool-settings.tsx';

type Mode = Pool['offer_mode'];

interface Draft {
  pool_id: string;
  name: string;
  offer_mode: Mode;
  broadcast_size: string;
  offer_ttl_seconds: string;
}
type Field = keyof Draft;

const EMPTY: Draft = {
  pool_id: '',
  name: '',
  offer_mode: 'sequential',
  broadcast_size: '5',
  offer_ttl_seconds: '',
};

function draftOf(pool: Pool): Draft {
  return {
    pool_id: pool.pool_id,
    name: pool.name,
    offer_mode: pool.offer_mode,
    broadcast_size: String(pool.broadcast_size),
    offer_ttl_seconds: pool.offer_ttl_seconds === null ? '' : String(pool.offer_ttl_seconds),
  };
}

function fieldsOf(draft: Draft) {
  return {
    name: draft.name.trim(),
    offer_mode: draft.offer_mode,
    broadcast_size: Number(draft.broadcast_size),
    offer_ttl_seconds: draft.offer_ttl_seconds.trim() === '' ? null : Number(draft.offer_ttl_seconds),
  };
}

function faultsOf(draft: Draft, { pools: { faults } }: typeof consoleWorkers): FieldFault<Field>[] {
  const isWhole = (text: string, most: number) =>
    /^\d+$/.test(text.trim()) && Number(text) >= 1 && Number(text) <= most;
  const found: FieldFault<Field>[] = [];
  if (draft.name.trim() === '') found.push({ field: 'name', message: faults.name });
  if (!/^[A-Za-z0-9_-]{0,64}$/.test(draft.pool_id)) found.push({ field: 'pool_id', message: faults.pool_id });
  if (!isWhole(draft.broadcast_size, 200))
    found.push({ field: 'broadcast_size', message: faults.broadcast_size });
  if (draft.offer_ttl_seconds.trim() !== '' && !isWhole(draft.offer_ttl_seconds, 86_400))
    found.push({ field: 'offer_ttl_seconds', message: faults.offer_ttl_seconds });
  return found;
}

/** @param pool the one to change; null for a new one. */
export function PoolForm({ pool, onClose }: { pool: Versioned<Pool> | null; onClose: () => void }) {
  const text = useConsoleWorkers();
  const { pools } = text;
  const shared = useShared();
  const showToast = useToast();
  const [seen, setSeen] = useState(pool);
  const [isStale, setStale] = useState(false);
  const [draft, setDraft] = useState(pool === null ? EMPTY : draftOf(pool.value));
  const set = (change: Partial<Draft>) => setDraft({ ...draft, ...change });

  async function save(): Promise<void> {
    const fields = fieldsOf(draft);
    if (seen === null) {
      await api.pools.create({ ...fields, ...(draft.pool_id !== '' && { pool_id: draft.pool_id }) });
      showToast(pools.created(fields.name));
    } else {
      try {
        await api.pools.update(seen.value.pool_id, fields, ifMatch(seen.etag));
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 412)) throw error;
        setSeen(await readPool(seen.value.pool_id));
        setStale(true);
        return;
      }
      showToast(shared.saved);
    }
    await queries.invalidateQueries({ queryKey: ['pools'] });
    onClose();
  }

  const form = useForm<Field>({ labels: pools.fields, check: () => faultsOf(draft, text), save });
  return (
    <FormDialog
      title={pool === null ? pools.create : pools.editTitle(pool.value.name)}
      form={form}
      action={pool === null ? pools.create : shared.save}
      onClose={onClose}
    >
      {isStale && seen !== null && (
        <Banner tone="amber" live title={pools.stale}>
          <PoolSettings pool={seen.value} withName />
        </Banner>
      )}
      <TextField
        {...form.field('name')}
        label={pools.fields.name}
        maxLength={200}
        autoComplete="off"
        value={draft.name}
        onChange={(event) => set({ name: event.target.value })}
      />
      {pool === null && (
        <TextField
          {...form.field('pool_id')}
          label={pools.fields.pool_id}
          hint={pools.hints.pool_id}
          optional
          autoComplete="off"
          spellCheck={false}
          value={draft.pool_id}
          onChange={(event) => set({ pool_id: event.target.value })}
        />
      )}
      <FieldGroup {...form.field('offer_mode')} label={pools.fields.offer_mode}>
        {(['sequential', 'broadcast'] as const).map((mode) => (
          <Choice
            key={mode}
            type="radio"
            name="offer_mode"
            checked={draft.offer_mode === mode}
            onChange={() => set({ offer_mode: mode })}
          >
            {pools.modes[mode]}
            <br />
            <span className="muted small">{pools.modeHints[mode]}</span>
          </Choice>
        ))}
      </FieldGroup>
      {draft.offer_mode === 'broadcast' && (
        <TextField
          {...form.field('broadcast_size')}
          label={pools.fields.broadcast_size}
          hint={pools.hints.broadcast_size}
          inputMode="numeric"
          value={draft.broadcast_size}
          onChange={(event) => set({ broadcast_size: event.target.value })}
        />
      )}
      <TextField
        {...form.field('offer_ttl_seconds')}
        label={pools.fields.offer_ttl_seconds}
        hint={pools.hints.offer_ttl_seconds}
        optional
        inputMode="numeric"
        value={draft.offer_ttl_seconds}
        onChange={(event) => set({ offer_ttl_seconds: event.target.value })}
      />
    </FormDialog>
  );
}

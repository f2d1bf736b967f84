// The networks from which the organisation may be used. A list that locks the member out is refused, unless they insist.

import { ApiError, type Org } from '@biolayer/sdk';
import { useState } from 'react';
import type { Versioned } from '../../shared/api/versioned.ts';
import { itemsOf, useForm } from '../../shared/forms/use-form.ts';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Banner, Card } from '../../shared/ui/containers.tsx';
import { ErrorSummary } from '../../shared/ui/error-summary.tsx';
import { Choice, TextAreaField } from '../../shared/ui/field.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useConsoleOrg } from '../messages.ts';
import { saveOrg } from './org-data.ts';

export function AllowlistForm({ org }: { org: Versioned<Org> }) {
  const { settings: text } = useConsoleOrg();
  const shared = useShared();
  const showToast = useToast();
  const [networks, setNetworks] = useState(org.value.ip_allowlist.join('\n'));
  const [wouldLockOut, setWouldLockOut] = useState(false);
  const [force, setForce] = useState(false);
  const [newer, setNewer] = useState<Versioned<Org> | null>(null);
  const form = useForm({
    labels: { ip_allowlist: text.networks },
    check: () => [],
    save: async () => {
      try {
        const conflict = await saveOrg({ ip_allowlist: itemsOf(networks) }, newer ?? org, force);
        setNewer(conflict);
        if (conflict === null) showToast(shared.saved);
      } catch (error) {
        if (error instanceof ApiError && error.code === 'would_lock_out') setWouldLockOut(true);
        throw error;
      }
    },
  });
  return (
    <Card title={text.allowlist}>
      <p className="muted">{text.allowlistHint}</p>
      <form className="stack" noValidate onSubmit={form.onSubmit}>
        <ErrorSummary {...form.summary} />
        {newer !== null && <Banner tone="amber" live title={text.stale} />}
        <TextAreaField
          {...form.field('ip_allowlist')}
          label={text.networks}
          hint={text.networksHint}
          optional
          rows={4}
          spellCheck={false}
          value={networks}
          onChange={(event) => setNetworks(event.target.value)}
        />
        {wouldLockOut && (
          <Choice type="checkbox" checked={force} onChange={(event) => setForce(event.target.checked)}>
            {text.force}
          </Choice>
        )}
        <div>
          <Button type="submit" busy={form.isBusy}>
            {shared.save}
          </Button>
        </div>
      </form>
    </Card>
  );
}

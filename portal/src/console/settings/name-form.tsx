// The name of the organisation.

import type { Org } from '@biolayer/sdk';
import { useState } from 'react';
import type { Versioned } from '../../shared/api/versioned.ts';
import { useForm } from '../../shared/forms/use-form.ts';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Banner, Card, Facts } from '../../shared/ui/containers.tsx';
import { ErrorSummary } from '../../shared/ui/error-summary.tsx';
import { TextField } from '../../shared/ui/field.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useConsoleOrg } from '../messages.ts';
import { saveOrg } from './org-data.ts';

export function NameForm({ org }: { org: Versioned<Org> }) {
  const { settings: text } = useConsoleOrg();
  const shared = useShared();
  const format = useFormat();
  const showToast = useToast();
  const [name, setName] = useState(org.value.name);
  const [newer, setNewer] = useState<Versioned<Org> | null>(null);
  const form = useForm({
    labels: { name: text.name },
    check: () => (name.trim() === '' ? [{ field: 'name' as const, message: text.nameFault }] : []),
    save: async () => {
      const conflict = await saveOrg({ name: name.trim() }, newer ?? org);
      setNewer(conflict);
      if (conflict === null) showToast(shared.saved);
    },
  });
  return (
    <Card title={text.general}>
      <form className="stack" noValidate onSubmit={form.onSubmit}>
        <ErrorSummary {...form.summary} />
        {newer !== null && <Banner tone="amber" live title={text.stale} />}
        <TextField
          {...form.field('name')}
          label={text.name}
          maxLength={200}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <div>
          <Button type="submit" busy={form.isBusy}>
            {shared.save}
          </Button>
        </div>
      </form>
      <Facts
        facts={[
          [text.id, <code key="id">{org.value.org_id}</code>],
          [text.created, format.date(org.value.created_at)],
        ]}
      />
    </Card>
  );
}

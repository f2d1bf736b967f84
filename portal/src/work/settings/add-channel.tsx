// Adds an e-mail address or an incoming webhook as a channel.

import { ApiError } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { useForm } from '../../shared/forms/use-form.ts';
import { useLanguage } from '../../shared/i18n/messages.tsx';
import { Banner } from '../../shared/ui/containers.tsx';
import { TextField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useWorkSettings } from '../messages.ts';
import { renewChannels } from './channel-data.ts';

export type AddedKind = 'email' | 'slack';

const FORMS = {
  email: { field: 'address', type: 'email', autoComplete: 'email', good: /^[^\s@]+@[^\s@]+$/ },
  slack: { field: 'url', type: 'url', autoComplete: 'off', good: /^https:\/\/[^\s/]+/i },
} as const;

export function AddChannelDialog({ kind, onClose }: { kind: AddedKind; onClose: () => void }) {
  const { add: text } = useWorkSettings();
  const { language } = useLanguage();
  const toast = useToast();
  const [target, setTarget] = useState('');
  const [hasNoMail, setNoMail] = useState(false);
  const { field, type, autoComplete, good } = FORMS[kind];

  async function save(): Promise<void> {
    try {
      const to = target.trim();
      await api.notificationChannels.create(
        kind === 'email' ? { kind, address: to, language } : { kind, url: to, language },
      );
    } catch (error) {
      if (!(error instanceof ApiError && error.errors.some((one) => one.pointer === '/kind'))) throw error;
      setNoMail(true);
      return;
    }
    await renewChannels();
    toast(text.added);
    onClose();
  }

  const form = useForm<'address' | 'url'>({
    labels: { address: text.address, url: text.url },
    check: () => (good.test(target.trim()) ? [] : [{ field, message: text.faults[field] }]),
    save,
  });
  return (
    <FormDialog title={text[kind]} form={form} action={text[kind]} onClose={onClose}>
      {hasNoMail && <Banner tone="amber" live title={text.noMail} />}
      <TextField
        {...form.field(field)}
        label={text[field]}
        hint={text[`${field}Hint`]}
        type={type}
        autoComplete={autoComplete}
        spellCheck={false}
        value={target}
        onChange={(event) => setTarget(event.target.value)}
      />
    </FormDialog>
  );
}

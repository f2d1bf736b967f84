// What a worker sets for a channel: its name, its language and its quiet hours.

import type { NotificationChannel } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { useForm } from '../../shared/forms/use-form.ts';
import { LANGUAGES, type Language } from '../../shared/i18n/languages.ts';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Choice, FieldGroup, SelectField, TextField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useWorkSettings } from '../messages.ts';
import { channelName, renewChannels } from './channel-data.ts';

type Quiet = NonNullable<NotificationChannel['quiet_hours']>;

/** The night where the person is. */
function suggestedQuiet(): Quiet {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  return { start: '22:00', end: '07:00', time_zone: timeZone, allow_critical: false };
}

export function EditChannelDialog({
  channel,
  onClose,
}: {
  channel: NotificationChannel;
  onClose: () => void;
}) {
  const { edit: text } = useWorkSettings();
  const shared = useShared();
  const toast = useToast();
  const [name, setName] = useState(channel.name);
  const [language, setLanguage] = useState(channel.language);
  const [hasQuiet, setHasQuiet] = useState(channel.quiet_hours !== null);
  const [quiet, setQuiet] = useState(channel.quiet_hours ?? suggestedQuiet);

  const form = useForm<'name' | 'language' | 'quiet_hours'>({
    labels: { name: text.name, language: text.language, quiet_hours: text.quiet },
    check: () => {
      const isGood = quiet.start !== '' && quiet.end !== '' && quiet.start !== quiet.end;
      return !hasQuiet || isGood ? [] : [{ field: 'quiet_hours', message: text.faults.times }];
    },
    save: async () => {
      const change = { name: name.trim(), language, quiet_hours: hasQuiet ? quiet : null };
      await api.notificationChannels.update(channel.channel_id, change);
      await renewChannels();
      toast(shared.saved);
      onClose();
    },
  });
  return (
    <FormDialog title={text.title(channelName(channel))} form={form} action={shared.save} onClose={onClose}>
      <TextField
        {...form.field('name')}
        label={text.name}
        hint={text.nameHint}
        optional
        maxLength={100}
        autoComplete="off"
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <SelectField
        {...form.field('language')}
        label={text.language}
        value={language}
        onChange={(event) => setLanguage(event.target.value as Language)}
      >
        {Object.entries(LANGUAGES).map(([tag, own]) => (
          <option key={tag} value={tag} lang={tag}>
            {own}
          </option>
        ))}
      </SelectField>
      <FieldGroup {...form.field('quiet_hours')} label={text.quiet} hint={text.quietHint}>
        <Choice type="checkbox" checked={hasQuiet} onChange={(event) => setHasQuiet(event.target.checked)}>
          {text.hasQuiet}
        </Choice>
        {hasQuiet && <QuietFields quiet={quiet} onChange={setQuiet} />}
      </FieldGroup>
    </FormDialog>
  );
}

function QuietFields({ quiet, onChange }: { quiet: Quiet; onChange: (quiet: Quiet) => void }) {
  const { edit: text } = useWorkSettings();
  const zones = [...new Set([quiet.time_zone, ...Intl.supportedValuesOf('timeZone')])];
  return (
    <div className="stack">
      <div className="row">
        {(['start', 'end'] as const).map((end) => (
          <TextField
            key={end}
            label={text[end]}
            type="time"
            value={quiet[end]}
            onChange={(event) => onChange({ ...quiet, [end]: event.target.value.slice(0, 5) })}
          />
        ))}
      </div>
      <SelectField
        label={text.zone}
        value={quiet.time_zone}
        onChange={(event) => onChange({ ...quiet, time_zone: event.target.value })}
      >
        {zones.map((zone) => (
          <option key={zone} value={zone}>
            {zone.replaceAll('_', ' ')}
          </option>
        ))}
      </SelectField>
      <Choice
        type="checkbox"
        checked={quiet.allow_critical}
        onChange={(event) => onChange({ ...quiet, allow_critical: event.target.checked })}
      >
        {text.allowCritical}
      </Choice>
    </div>
  );
}

// Downloads the audit log and the histories of all tasks as a signed file. The browser writes it to the disk as it arrives.

import { useState } from 'react';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Dialog } from '../../shared/ui/dialog.tsx';
import { TimeField } from '../../shared/ui/field.tsx';
import { useConsoleOrg } from '../messages.ts';
import { momentOf } from '../webhooks/time-range.ts';

export function ExportDialog({ onClose }: { onClose: () => void }) {
  const { audit: text } = useConsoleOrg();
  const { cancel } = useShared();
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const [since, until] = [momentOf(from), momentOf(to)];
  const query = new URLSearchParams({
    ...(since !== null && { from: since }),
    ...(until !== null && (since === null || until > since) && { to: until }),
  });
  return (
    <Dialog
      title={text.exportTitle}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{cancel}</Button>
          <a
            className="button button-primary"
            href={`/v1/audit/export?${query}`}
            download="audit.ndjson"
            onClick={onClose}
          >
            {text.download}
          </a>
        </>
      }
    >
      <p>{text.exportText}</p>
      <div className="field-columns">
        <TimeField label={text.from} optional value={from} onChange={setFrom} />
        <TimeField label={text.to} optional value={to} onChange={setTo} />
      </div>
    </Dialog>
  );
}

// The files of a submission: pictures as thumbnails, others by name. Each opens in the viewer.

import type { Evidence } from '@biolayer/sdk';
import { useState } from 'react';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Icon } from '../../shared/ui/icons.tsx';
import { useTaskText } from '../messages.ts';
import { kindOf, useFileBytes, useObjectUrl } from './evidence-files.ts';
import { EvidenceViewer } from './evidence-viewer.tsx';
import './evidence.css';

/** Largest picture whose thumbnail is loaded without being asked for, bytes. */
const THUMBNAIL_BYTES = 4 * 1024 * 1024;

export function EvidenceList({ taskId, files }: { taskId: string; files: readonly Evidence[] }) {
  const text = useTaskText().evidence;
  const format = useFormat();
  const [open, setOpen] = useState<number | null>(null);
  return (
    <>
      <ul className="evidence-list">
        {files.map((file, index) => (
          <li key={file.evidence_id}>
            <button type="button" className="evidence-item" onClick={() => setOpen(index)}>
              {kindOf(file.media_type) === 'image' && file.bytes <= THUMBNAIL_BYTES ? (
                <Thumbnail taskId={taskId} file={file} />
              ) : (
                <span className="evidence-icon">
                  <Icon name="file" />
                </span>
              )}
              <span className="visually-hidden">{text.open}</span>
              <span className="evidence-name">{file.name}</span>
              <span className="small muted">{format.bytes(file.bytes)}</span>
            </button>
          </li>
        ))}
      </ul>
      {open !== null && (
        <EvidenceViewer
          taskId={taskId}
          files={files}
          at={open}
          onMove={setOpen}
          onClose={() => setOpen(null)}
        />
      )}
    </>
  );
}

function Thumbnail({ taskId, file }: { taskId: string; file: Evidence }) {
  const { data } = useFileBytes(taskId, file.evidence_id);
  const url = useObjectUrl(data, file.media_type);
  const [isBroken, setBroken] = useState(false);
  if (url === undefined || isBroken)
    return (
      <span className="evidence-icon">
        <Icon name="file" />
      </span>
    );
  return <img className="evidence-thumbnail" src={url} alt="" onError={() => setBroken(true)} />;
}

// Shows one file at a time, large, with the way to the next one.

import type { Evidence } from '@biolayer/sdk';
import { lazy, Suspense, useEffect, useState } from 'react';
import { problemText } from '../../shared/api/problem-text.ts';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Skeleton } from '../../shared/ui/containers.tsx';
import { Dialog } from '../../shared/ui/dialog.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useTaskText } from '../messages.ts';
import { kindOf, saveFile, TEXT_SHOWN, useFileBytes, useObjectUrl } from './evidence-files.ts';

const PdfView = lazy(() => import('./pdf-view.tsx'));

export function EvidenceViewer({
  taskId,
  files,
  at,
  onMove,
  onClose,
}: {
  taskId: string;
  files: readonly Evidence[];
  at: number;
  onMove: (at: number) => void;
  onClose: () => void;
}) {
  const text = useTaskText().evidence;
  const shared = useShared();
  const format = useFormat();
  const toast = useToast();
  const file = files[at];
  useEffect(() => {
    const move = ({ key, target }: KeyboardEvent) => {
      // Sound and video use the arrow keys themselves.
      if (target instanceof HTMLMediaElement) return;
      const step = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0;
      if (step !== 0 && files[at + step] !== undefined) onMove(at + step);
    };
    addEventListener('keydown', move);
    return () => removeEventListener('keydown', move);
  }, [files, at, onMove]);
  if (file === undefined) return null;
  return (
    <Dialog
      title={file.name}
      wide
      onClose={onClose}
      actions={
        <>
          <span className="muted small grow">
            {file.media_type} · {format.bytes(file.bytes)}
            {files.length > 1 && ` · ${text.position(format.number(at + 1), format.number(files.length))}`}
          </span>
          {files.length > 1 && (
            <>
              <Button icon="left" label={text.previous} disabled={at === 0} onClick={() => onMove(at - 1)} />
              <Button
                icon="right"
                label={text.next}
                disabled={at === files.length - 1}
                onClick={() => onMove(at + 1)}
              />
            </>
          )}
          <Button
            icon="download"
            onClick={() =>
              void saveFile(taskId, file).catch((error) => toast(problemText(error, shared), 'red'))
            }
          >
            {text.download}
          </Button>
        </>
      }
    >
      <FileView key={file.evidence_id} taskId={taskId} file={file} />
      <p className="small muted evidence-hash">
        {text.sha256} <code>{file.sha256}</code>
      </p>
    </Dialog>
  );
}

function FileView({ taskId, file }: { taskId: string; file: Evidence }) {
  const text = useTaskText().evidence;
  const kind = kindOf(file.media_type);
  const { data, error, isError, refetch } = useFileBytes(taskId, file.evidence_id, kind !== 'other');
  if (kind === 'other') return <p>{text.cannotShow}</p>;
  if (isError) return <Problem error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Skeleton lines={4} />;
  if (kind === 'text') return <TextView bytes={data} />;
  if (kind === 'pdf')
    return (
      <Suspense fallback={<Skeleton lines={4} />}>
        <PdfView bytes={data} />
      </Suspense>
    );
  return <MediaView bytes={data} kind={kind} file={file} />;
}

function TextView({ bytes }: { bytes: ArrayBuffer }) {
  const text = useTaskText().evidence;
  return (
    <>
      <pre className="evidence-text">{new TextDecoder().decode(bytes.slice(0, TEXT_SHOWN))}</pre>
      {bytes.byteLength > TEXT_SHOWN && <p className="muted">{text.cut}</p>}
    </>
  );
}

function MediaView({
  bytes,
  kind,
  file,
}: {
  bytes: ArrayBuffer;
  kind: 'image' | 'audio' | 'video';
  file: Evidence;
}) {
  const text = useTaskText().evidence;
  const url = useObjectUrl(bytes, file.media_type);
  const [isBroken, setBroken] = useState(false);
  if (url === undefined) return <Skeleton lines={4} />;
  if (isBroken) return <p>{text.broken}</p>;
  const onError = () => setBroken(true);
  if (kind === 'image') return <img className="evidence-media" src={url} alt={file.name} onError={onError} />;
  if (kind === 'audio')
    // biome-ignore lint/a11y/useMediaCaption: the file is a worker's; there are no captions for it.
    return <audio className="evidence-media" controls src={url} aria-label={file.name} onError={onError} />;
  return (
    // biome-ignore lint/a11y/useMediaCaption: the file is a worker's; there are no captions for it.
    <video className="evidence-media" controls src={url} aria-label={file.name} onError={onError} />
  );
}

// Files that show what was done: dropped, pasted, chosen or photographed. All of them are part of the submission.

import { ApiError, type UploadedEvidence, type WorkerTask } from '@biolayer/sdk';
import { type DragEvent, useCallback, useEffect, useId, useRef, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { problemText } from '../../shared/api/problem-text.ts';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Dialog } from '../../shared/ui/dialog.tsx';
import { FieldGroup } from '../../shared/ui/field.tsx';
import { Icon } from '../../shared/ui/icons.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { renew, useEvidence } from '../data.ts';
import { useWork } from '../messages.ts';
import { acceptsType, isPicture, MAX_BYTES, uploadFile } from './upload.ts';

interface Upload {
  /** Also the idempotency key of the upload. */
  id: string;
  file: File;
  share: number;
  /** Why it failed; null while it runs. */
  problem: string | null;
  /** Whether trying again may help. */
  canRetry: boolean;
  cancel: AbortController;
}

/** @param error of the field. @param onBusy told whether uploads are under way. */
export function EvidenceField({
  task,
  id,
  error,
  onBusy,
}: {
  task: WorkerTask;
  id: string;
  error: string | undefined;
  onBusy: (isBusy: boolean) => void;
}) {
  const text = useWork().evidence;
  const shared = useShared();
  const format = useFormat();
  const files = useEvidence(task.task_id);
  const [uploads, setUploads] = useState<readonly Upload[]>([]);
  const [isOver, setOver] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);
  const { evidence_types: types, evidence_required: isRequired = false } = task.output;

  const change = useCallback(
    (uploadId: string, part: Partial<Upload>) =>
      setUploads((all) => all.map((one) => (one.id === uploadId ? { ...one, ...part } : one))),
    [],
  );
  const drop = useCallback(
    (uploadId: string) => setUploads((all) => all.filter((one) => one.id !== uploadId)),
    [],
  );
  const send = useCallback(
    async (upload: Upload) => {
      change(upload.id, { problem: null, share: 0 });
      try {
        const onProgress = (share: number) => change(upload.id, { share });
        await uploadFile(task.task_id, upload.file, upload.id, onProgress, upload.cancel.signal);
        await renew('evidence', task.task_id);
        drop(upload.id);
      } catch (failure) {
        const isFinal = failure instanceof ApiError && [413, 415, 422].includes(failure.status);
        change(upload.id, { problem: problemText(failure, shared), canRetry: !isFinal });
      }
    },
    [task.task_id, change, drop, shared],
  );
  const add = useCallback(
    (given: Iterable<File>) => {
      const added = [...given].map((file): Upload => {
        const refusal =
          file.size > MAX_BYTES
            ? text.tooLarge(format.bytes(MAX_BYTES))
            : acceptsType(types, file.type)
              ? null
              : text.wrongType;
        const uploadId = crypto.randomUUID();
        return {
          id: uploadId,
          file,
          share: 0,
          problem: refusal,
          canRetry: false,
          cancel: new AbortController(),
        };
      });
      setUploads((all) => [...all, ...added]);
      for (const upload of added) if (upload.problem === null) void send(upload);
    },
    [types, text, format, send],
  );

  const isBusy = uploads.some((one) => one.problem === null);
  useEffect(() => onBusy(isBusy), [isBusy, onBusy]);
  usePaste(add);

  const handlers = {
    onDragOver: (event: DragEvent) => {
      event.preventDefault();
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop: (event: DragEvent) => {
      event.preventDefault();
      setOver(false);
      add(event.dataTransfer.files);
    },
  };
  const chosen = (input: HTMLInputElement) => {
    add(input.files ?? []);
    input.value = '';
  };
  const accept = types?.join(',');
  const takesPictures = types === undefined || types.some((one) => one.startsWith('image/'));
  const hint = [
    isRequired ? text.required : text.optional,
    ...(types === undefined ? [] : [text.types(format.list(types))]),
    text.size(format.bytes(MAX_BYTES)),
  ].join(' ');
  return (
    <FieldGroup id={id} label={text.title} hint={hint} error={error} optional={!isRequired}>
      <div className="stack">
        <ul className="files" aria-label={text.title}>
          {files.data?.map((file) => (
            <StoredFile key={file.evidence_id} taskId={task.task_id} file={file} />
          ))}
          {uploads.map((upload) => (
            <UploadRow
              key={upload.id}
              upload={upload}
              onRetry={() => void send(upload)}
              onRemove={() => {
                upload.cancel.abort();
                drop(upload.id);
              }}
            />
          ))}
        </ul>
        <div className={isOver ? 'drop-zone drop-zone-over' : 'drop-zone'} {...handlers}>
          <span className="muted grow">{text.drop}</span>
          {takesPictures && (
            <Button icon="camera" className="camera-button" onClick={() => camera.current?.click()}>
              {text.photo}
            </Button>
          )}
          <Button icon="upload" onClick={() => picker.current?.click()}>
            {text.choose}
          </Button>
        </div>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          accept={accept}
          aria-label={text.choose}
          onChange={(event) => chosen(event.target)}
        />
        <input
          ref={camera}
          type="file"
          hidden
          accept="image/*"
          capture="environment"
          aria-label={text.photo}
          onChange={(event) => chosen(event.target)}
        />
      </div>
    </FieldGroup>
  );
}

/** Takes files from the clipboard, wherever on the page they are pasted. */
function usePaste(add: (files: Iterable<File>) => void): void {
  useEffect(() => {
    const onPaste = (event: ClipboardEvent) => {
      const files = event.clipboardData?.files;
      if (files === undefined || files.length === 0) return;
      event.preventDefault();
      add(files);
    };
    // A file that misses the field must not replace the page.
    const keepPage = (event: globalThis.DragEvent) => event.preventDefault();
    addEventListener('paste', onPaste);
    addEventListener('dragover', keepPage);
    addEventListener('drop', keepPage);
    return () => {
      removeEventListener('paste', onPaste);
      removeEventListener('dragover', keepPage);
      removeEventListener('drop', keepPage);
    };
  }, [add]);
}

function UploadRow({
  upload,
  onRetry,
  onRemove,
}: {
  upload: Upload;
  onRetry: () => void;
  onRemove: () => void;
}) {
  const text = useWork().evidence;
  const format = useFormat();
  const { file, share, problem, canRetry } = upload;
  const url = useObjectUrl(isPicture(file.type) ? file : null);
  return (
    <li className="file">
      <span className="file-thumb">{url === null ? <Icon name="file" /> : <img src={url} alt="" />}</span>
      <span className="grow">
        {file.name}
        {problem === null ? (
          <>
            <progress
              className="progress tone-blue"
              max={1}
              value={share}
              aria-label={text.uploading(file.name)}
            />
            <span className="small muted numeric">{text.progress(format.percent(share))}</span>
          </>
        ) : (
          <span className="field-error" role="alert">
            {' '}
            {text.failed} {problem}
          </span>
        )}
      </span>
      {problem !== null && canRetry && (
        <Button size="small" icon="refresh" label={text.retry(file.name)} onClick={onRetry} />
      )}
      <Button look="quiet" size="small" icon="trash" label={text.remove(file.name)} onClick={onRemove} />
    </li>
  );
}

/** Pictures up to this size are shown without being asked for, bytes. */
const SHOWN_BYTES = 5_000_000;

/** A file that is stored; a picture is shown small, and large when it is pressed. */
export function StoredFile({
  taskId,
  file,
  isFixed = false,
}: {
  taskId: string;
  file: Omit<UploadedEvidence, 'worker_id' | 'uploaded_at'>;
  isFixed?: boolean;
}) {
  const text = useWork().evidence;
  const shared = useShared();
  const format = useFormat();
  const toast = useToast();
  const [blob, setBlob] = useState<Blob | null>(null);
  const [isLarge, setLarge] = useState(false);
  const isShown = isPicture(file.media_type) && file.bytes <= SHOWN_BYTES;
  const url = useObjectUrl(blob);
  const labelId = useId();
  const { evidence_id } = file;
  useEffect(() => {
    if (!isShown) return;
    let isCurrent = true;
    fileOf(taskId, evidence_id, file.media_type).then(
      (loaded) => isCurrent && setBlob(loaded),
      () => undefined,
    );
    return () => {
      isCurrent = false;
    };
  }, [taskId, evidence_id, file.media_type, isShown]);

  const fail = (error: unknown) => toast(problemText(error, shared), 'red');
  const download = () =>
    void fileOf(taskId, evidence_id, 'application/octet-stream').then(
      (loaded) => save(loaded, file.name),
      fail,
    );
  const remove = () =>
    void api.worker
      .deleteEvidence(taskId, evidence_id)
      .then(() => renew('evidence', taskId))
      .catch(fail);
  return (
    <li className="file">
      {url === null ? (
        <span className="file-thumb">
          <Icon name="file" />
        </span>
      ) : (
        <button
          type="button"
          className="file-thumb"
          aria-label={text.preview(file.name)}
          onClick={() => setLarge(true)}
        >
          <img src={url} alt="" />
        </button>
      )}
      <span className="grow" id={labelId}>
        {file.name} <span className="small muted">{format.bytes(file.bytes)}</span>
      </span>
      <Button look="quiet" size="small" icon="download" label={text.download(file.name)} onClick={download} />
      {!isFixed && (
        <Button look="quiet" size="small" icon="trash" label={text.remove(file.name)} onClick={remove} />
      )}
      {isLarge && url !== null && (
        <Dialog title={file.name} wide onClose={() => setLarge(false)}>
          <img className="file-preview" src={url} alt={text.preview(file.name)} />
        </Dialog>
      )}
    </li>
  );
}

/** The bytes of a file. Its type is one of ours, so that a browser runs nothing in it. */
async function fileOf(taskId: string, evidenceId: string, type: string): Promise<Blob> {
  const blob = (await api.worker.downloadEvidence(taskId, evidenceId)) as unknown as Blob;
  return new Blob([blob], { type });
}

/** Gives a file to the person, under its name. */
function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** An address of a blob within this page, as long as it is shown. */
function useObjectUrl(blob: Blob | null): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (blob === null) return;
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => {
      URL.revokeObjectURL(made);
      setUrl(null);
    };
  }, [blob]);
  return url;
}

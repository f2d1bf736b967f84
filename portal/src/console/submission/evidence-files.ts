// Files of a task: how each kind is shown, and their bytes. A file is hostile until proven otherwise: nothing of it ever runs.
// Pictures, sound and video are given to elements that cannot run anything, with a media type of our own list; all other
// files that are text are shown as text, also HTML and SVG's source.

import type { Evidence } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { api } from '../../shared/api/client.ts';

export type Kind = 'image' | 'audio' | 'video' | 'pdf' | 'text' | 'other';

/** Media types that are shown as pictures. A picture in `<img>` runs no scripts and loads nothing, SVG included. */
const IMAGES: ReadonlySet<string> = new Set([
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/avif',
  'image/bmp',
  'image/svg+xml',
]);
const AUDIO = /^audio\/(mpeg|mp4|ogg|wav|x-wav|webm|flac|aac)$/;
const VIDEO = /^video\/(mp4|webm|ogg|quicktime)$/;
const TEXT = /^(text\/.*|application\/(.*\+)?(json|xml|yaml|x-yaml|javascript|x-sh|csv|xhtml))$/;

/** How a file is shown. @param mediaType as the upload named it */
export function kindOf(mediaType: string): Kind {
  const [type = ''] = mediaType.toLowerCase().split(';');
  const plain = type.trim();
  if (IMAGES.has(plain)) return 'image';
  if (AUDIO.test(plain)) return 'audio';
  if (VIDEO.test(plain)) return 'video';
  if (plain === 'application/pdf') return 'pdf';
  return TEXT.test(plain) ? 'text' : 'other';
}

/** Most of a text file that is shown, bytes. */
export const TEXT_SHOWN = 256 * 1024;

/** The bytes of a file, kept for a while: a reviewer goes back and forth. */
export function useFileBytes(taskId: string, evidenceId: string, enabled = true) {
  return useQuery({
    queryKey: ['evidence', taskId, evidenceId],
    queryFn: ({ signal }) => loadBytes(taskId, evidenceId, signal),
    enabled,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
  });
}

async function loadBytes(taskId: string, evidenceId: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  const file = await api.tasks.downloadEvidence(taskId, evidenceId, signal && { signal });
  return file.arrayBuffer();
}

/** An address for bytes within this page, as long as it is shown. @param type media type for the element; not a document's */
export function useObjectUrl(bytes: ArrayBuffer | undefined, type: string): string | undefined {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    if (bytes === undefined) return;
    const made = URL.createObjectURL(new Blob([bytes], { type }));
    setUrl(made);
    return () => {
      URL.revokeObjectURL(made);
      setUrl(undefined);
    };
  }, [bytes, type]);
  return url;
}

/** Saves a file on the person's machine, as bytes that no browser opens by itself. */
export async function saveFile(taskId: string, { evidence_id, name }: Evidence): Promise<void> {
  const bytes = await loadBytes(taskId, evidence_id);
  const url = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

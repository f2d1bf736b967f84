// The results of the tools: structured content with the same as text, links to files, and errors that name the arguments.

import { ApiError, BioLayerError, type Task } from '@biolayer/sdk';
import type { CallToolResult, ContentBlock } from '@modelcontextprotocol/server';

/** A result. @param links further content, after the text */
export function resultOf(structuredContent: object, links: ContentBlock[] = []): CallToolResult {
  return {
    structuredContent: { ...structuredContent },
    content: [{ type: 'text', text: JSON.stringify(structuredContent) }, ...links],
  };
}

/** Links to the files of a submission; those of the result when there is one. */
export function evidenceLinks({ task_id, result, submission }: Task): ContentBlock[] {
  const handedIn = result ?? submission;
  if (handedIn === null) return [];
  const files = 'copies' in handedIn ? handedIn.copies.flatMap((one) => one.evidence) : handedIn.evidence;
  return files.map(({ evidence_id, name, media_type, bytes }) => ({
    type: 'resource_link',
    uri: evidenceUri(task_id, evidence_id),
    name,
    mimeType: media_type,
    size: bytes,
  }));
}

/** URI of a file of a task. */
export function evidenceUri(taskId: string, evidenceId: string): string {
  return `biolayer://tasks/${taskId}/evidence/${evidenceId}`;
}

/** The result of a call that failed, without anything of the inside of this program. */
export function errorResult(error: unknown): CallToolResult {
  return { isError: true, content: [{ type: 'text', text: JSON.stringify({ error: faultOf(error) }) }] };
}

/** An error as agents see it. */
export function faultOf(error: unknown): { code: string; detail: string } & Record<string, unknown> {
  if (error instanceof ApiError) {
    const { code, status, detail, errors, requestId, retryAfterSeconds } = error;
    return {
      code,
      status,
      detail,
      ...(errors.length > 0 && { errors }),
      ...(requestId !== null && { request_id: requestId }),
      ...(retryAfterSeconds !== null && { retry_after_seconds: retryAfterSeconds }),
    };
  }
  if (error instanceof BioLayerError) return { code: 'unreachable', detail: error.message };
  if (error instanceof DOMException && error.name === 'TimeoutError')
    return { code: 'timeout', detail: 'The API did not answer in time. Call again with the same arguments.' };
  return { code: 'internal_error', detail: 'The tool failed.' };
}

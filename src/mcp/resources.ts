// The resources: tasks with their histories and files, pools and task types.

import { ApiError, type BioLayer } from '@biolayer/sdk';
import {
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  ResourceTemplate,
  requireScopes,
} from '@modelcontextprotocol/server';
import { evidenceUri, faultOf } from './results.ts';
import { RESOURCE_SCOPES } from './scopes.ts';

/** Most events of a history, and most pools or task types. */
const MAX_ITEMS = 1000;
/** Largest file that is sent, in bytes; a larger one is downloaded through the API. */
const LARGEST_FILE = 4 * 1024 * 1024;

/** Registers all resources; the client makes the calls of the API. */
export function addResources(server: McpServer, client: BioLayer): void {
  server.registerResource(
    'pools',
    'biolayer://pools',
    {
      title: 'Pools',
      description: 'The pools of workers that a task may require',
      mimeType: JSON_TYPE,
      ...needs('pools'),
    },
    (uri) => json(uri, async () => ({ data: await firstOf(client.pools.list({ limit: 200 })) })),
  );
  server.registerResource(
    'task-types',
    'biolayer://task-types',
    {
      title: 'Task types',
      description: 'The registered task types with their defaults',
      mimeType: JSON_TYPE,
      ...needs('task-types'),
    },
    (uri) => json(uri, async () => ({ data: await firstOf(client.taskTypes.list({ limit: 200 })) })),
  );
  server.registerResource(
    'task',
    template('biolayer://tasks/{task_id}'),
    { title: 'Task', description: 'Everything about a task', mimeType: JSON_TYPE, ...needs('task') },
    (uri, { task_id }) => json(uri, () => client.tasks.get(idOf(uri, task_id))),
  );
  server.registerResource(
    'history',
    template('biolayer://tasks/{task_id}/history'),
    {
      title: 'History',
      description: 'What happened to a task, oldest first',
      mimeType: JSON_TYPE,
      ...needs('history'),
    },
    (uri, { task_id }) =>
      json(uri, async () => {
        const events = client.tasks.listEvents(idOf(uri, task_id), { limit: 200, order: 'asc' });
        return { data: await firstOf(events) };
      }),
  );
  server.registerResource(
    'evidence',
    template('biolayer://tasks/{task_id}/evidence/{evidence_id}'),
    {
      title: 'Evidence',
      description: `A file that a worker has handed in, up to ${LARGEST_FILE} bytes`,
      ...needs('evidence'),
    },
    (uri, { task_id, evidence_id }) =>
      answered(uri, () => evidence(client, idOf(uri, task_id), idOf(uri, evidence_id))),
  );
}

const JSON_TYPE = 'application/json';

/** Lets a client with an access token that lacks the scopes of a resource ask for them. */
function needs(name: keyof typeof RESOURCE_SCOPES) {
  return { scopeChallenge: requireScopes(...RESOURCE_SCOPES[name]) };
}

/** A template whose resources are not listed: there may be any number. */
function template(uri: string): ResourceTemplate {
  return new ResourceTemplate(uri, { list: undefined });
}

function idOf(uri: URL, variable: string | string[] | undefined): string {
  if (typeof variable !== 'string') throw new ResourceNotFoundError(uri.href);
  return variable;
}

function json(uri: URL, read: () => Promise<unknown>) {
  return answered(uri, async () => {
    const text = JSON.stringify(await read());
    return { contents: [{ uri: uri.href, mimeType: JSON_TYPE, text }] };
  });
}

/** Reads; turns errors of the API into those of the protocol. @throws ProtocolError */
async function answered<Result>(uri: URL, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    if (error instanceof ApiError && error.status === 404) throw new ResourceNotFoundError(uri.href);
    const fault = faultOf(error);
    throw new ProtocolError(ProtocolErrorCode.InternalError, `${fault.code}: ${fault.detail}`, fault);
  }
}

async function evidence(client: BioLayer, taskId: string, evidenceId: string) {
  const uri = evidenceUri(taskId, evidenceId);
  const { data: files } = await client.tasks.listEvidence(taskId);
  const file = files.find((one) => one.evidence_id === evidenceId);
  if (file === undefined) throw new ResourceNotFoundError(uri);
  if (file.bytes > LARGEST_FILE)
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      `The file has ${file.bytes} bytes, more than ${LARGEST_FILE}: download it with GET /v1/tasks/${taskId}/evidence/${evidenceId}.`,
    );
  const content = await client.tasks.downloadEvidence(taskId, evidenceId);
  const blob = Buffer.from(await content.arrayBuffer()).toString('base64');
  return { contents: [{ uri, mimeType: file.media_type, blob }] };
}

/** The first items of a list, at most `MAX_ITEMS`. */
async function firstOf<Item>(list: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of list) {
    items.push(item);
    if (items.length === MAX_ITEMS) break;
  }
  return items;
}

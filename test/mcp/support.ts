// MCP clients for the tests, of both protocol versions.
import { randomUUID } from 'node:crypto';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

/** The protocol versions that the server speaks. */
export const VERSIONS = ['2026-07-28', '2025-11-25'] as const;
export type Version = (typeof VERSIONS)[number];

/** A client of the official library. */
export function newClient(version: Version): Client {
  const mode = version === '2025-11-25' ? 'legacy' : { pin: version };
  return new Client({ name: 'tests', version: '1' }, { versionNegotiation: { mode } });
}

/** Connects to the endpoint of an API. */
export async function connectHttp(url: string, credential: string | null, version: Version): Promise<Client> {
  const client = newClient(version);
  const headers: Record<string, string> =
    credential === null ? {} : { Authorization: `Bearer ${credential}` };
  await client.connect(new StreamableHTTPClientTransport(new URL('/mcp', url), { requestInit: { headers } }));
  return client;
}

export interface ToolResult {
  isError: boolean;
  /** The structured content; of an error, the JSON of its text. */
  value: Record<string, unknown>;
  links: string[];
  text: string;
}

/** Calls a tool. @param onprogress hears the messages of progress */
export async function callTool(
  client: Client,
  name: string,
  args: Record<string, unknown>,
  options: { onprogress?: (progress: { message?: string | undefined }) => void; signal?: AbortSignal } = {},
): Promise<ToolResult> {
  const { content, structuredContent, isError } = await client.callTool({ name, arguments: args }, options);
  const [first] = content;
  const text = first?.type === 'text' ? first.text : '';
  const value = structuredContent ?? (text.startsWith('{') ? JSON.parse(text) : {});
  const links = content.flatMap((one) => (one.type === 'resource_link' ? [one.uri] : []));
  return { isError: isError === true, value: value as Record<string, unknown>, links, text };
}

/** Arguments of request_human for the workers of a pool. */
export function pooledRequest(poolId: string) {
  return {
    idempotency_key: randomUUID(),
    title: 'Look at it',
    instructions: 'Look at it and say what you see.',
    task_type: 'verification',
    domain: 'security',
    sla: { urgency: 'high' },
    requirements: { worker_pool_id: poolId },
    output: { expected_format: 'structured_json', schema: { seen: 'boolean' } },
  };
}

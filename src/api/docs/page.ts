// `/docs`: the OpenAPI document as one HTML page without scripts or external resources.

type Json = Record<string, unknown>;

interface Operation {
  summary: string;
  tags: string[];
  security: Record<string, string[]>[];
  parameters: { name: string; in: string; required: boolean; description?: string; schema: Json }[];
  requestBody?: { content: Record<string, { schema: Json }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Json }> }>;
}

const STYLE = `
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#1a1a1a;background:#fff}
h2{border-bottom:1px solid #ccc;margin-top:2.5rem}
details{border:1px solid #ddd;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:#f6f6f6;overflow:auto;padding:.6rem;border-radius:4px}
.method{display:inline-block;font-weight:700;width:4.5rem}.scope{color:#555}
table{border-collapse:collapse}td,th{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#161616;color:#e6e6e6}pre{background:#222}details{border-color:#444}.scope{color:#aaa}}`;

/** The page for an OpenAPI document. */
export function docsPage(description: Json): string {
  const info = description.info as { title: string; version: string; summary: string };
  const operations = Object.entries(description.paths as Record<string, Record<string, Operation>>).flatMap(
    ([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const tags = [...new Set(operations.flatMap((one) => one.operation.tags))];
  const sections = tags.map((tag) => {
    const rows = operations.filter((one) => one.operation.tags.includes(tag));
    return `<h2>${text(tag)}</h2>${rows.map((one) => operationHtml(one.method, one.path, one.operation)).join('')}`;
  });
  const { schemas } = description.components as { schemas: Record<string, Json> };
  const shapes = Object.entries(schemas).map(
    ([name, schema]) =>
      `<details id="${text(name)}"><summary><code>${text(name)}</code></summary>${json(schema)}</details>`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${text(info.title)} API</title><style>${STYLE}</style></head><body>
<h1>${text(info.title)} API</h1><p>${text(info.summary)} Version ${text(info.version)}; as data:
<a href="/openapi.json">openapi.json</a>.</p>${sections.join('')}<h2>Schemas</h2>${shapes.join('')}</body></html>`;
}

function operationHtml(method: string, path: string, operation: Operation): string {
  const access = operation.security.flatMap((one) =>
    Object.entries(one).map(([scheme, scopes]) => scopes.join(' ') || scheme.replace('_', ' ')),
  );
  const rows = operation.parameters.map(
    (one) =>
      `<tr><td><code>${text(one.name)}</code></td><td>${text(one.in)}${one.required ? ', required' : ''}</td>` +
      `<td><code>${text(JSON.stringify(one.schema))}</code></td></tr>`,
  );
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  const answers = Object.entries(operation.responses).map(([status, answer]) => {
    const schema = Object.values(answer.content ?? {})[0]?.schema;
    return `<tr><td>${text(status)}</td><td>${text(answer.description)}</td><td>${schema ? shape(schema) : ''}</td></tr>`;
  });
  return `<details><summary><span class="method">${text(method.toUpperCase())}</span><code>${text(path)}</code>
 ${text(operation.summary)} <span class="scope">[${text(access.join(', ') || 'open')}]</span></summary>
${rows.length > 0 ? `<h4>Parameters</h4><table>${rows.join('')}</table>` : ''}
${bodies.map(([type, { schema }]) => `<h4>Body, ${text(type)}</h4>${json(schema)}`).join('')}
<h4>Answers</h4><table>${answers.join('')}</table></details>`;
}

function shape(schema: Json): string {
  const name = typeof schema.$ref === 'string' ? schema.$ref.split('/').at(-1) : undefined;
  if (name !== undefined) return `<a href="#${text(name)}">${text(name)}</a>`;
  return `<details><summary>shape</summary>${json(schema)}</details>`;
}

function json(value: Json): string {
  return `<pre>${text(JSON.stringify(value, null, 2))}</pre>`;
}

function text(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

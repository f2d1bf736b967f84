// Checks every response that a test receives against the OpenAPI document that the API serves and the contract's rules for
// errors. The client of `api.ts` does this for each response.
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';

type Json = Record<string, unknown>;

interface ResponseObject {
  $ref?: string;
  description: string;
  headers?: Json;
  content?: Record<string, { schema?: Json }>;
}

interface Operation {
  responses: Record<string, ResponseObject>;
}

export interface OpenApiDocument {
  openapi: string;
  servers: { url: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, Json>;
    responses: Record<string, ResponseObject>;
    parameters: Record<string, Json>;
    examples: Record<string, { value: unknown }>;
    securitySchemes: Record<string, Json>;
  };
}

interface ReceivedResponse {
  method: string;
  path: string;
  status: number;
  headers: Headers;
  /** The body as received. */
  text: string;
}

/** Returns the differences between a response and its documentation; [] for none. */
export type AnswerCheck = (answer: ReceivedResponse) => string[];

/** The check of this process. */
let check: AnswerCheck | undefined;

/**
 * Creates a check against the OpenAPI document served at `url`, or returns the one of an earlier call: servers differ only in
 * parts of the document that no check reads, and to make document and check takes longer than most tests.
 */
export async function documentedAnswers(url: string): Promise<AnswerCheck> {
  check ??= checkOf((await (await fetch(`${url}/openapi.json`)).json()) as OpenApiDocument);
  return check;
}

function checkOf(document: OpenApiDocument): AnswerCheck {
  closeObjects(document.components.schemas);
  closeObjects(document.paths);
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajvFormats.default(ajv);
  ajv.addSchema(document, 'openapi');
  const compiled = new Map<string, ValidateFunction>();
  // An exact path has precedence over one with parameters.
  const templates = Object.keys(document.paths)
    .sort((a, b) => a.split('{').length - b.split('{').length)
    .map((path) => ({ path, form: formOf(path) }));

  const validatorOf = (schema: Json, steps: string[]): ValidateFunction => {
    // Compiled once for all references to it.
    const target = typeof schema.$ref === 'string' ? schema.$ref.slice(1) : null;
    const pointer =
      target ?? steps.map((one) => `/${one.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
    const known = compiled.get(pointer);
    if (known !== undefined) return known;
    const made = ajv.compile({ $ref: `openapi#${encodeURI(pointer)}` });
    compiled.set(pointer, made);
    return made;
  };

  return (answer) => {
    // These have no body (RFC 9110, sections 9.3.2, 9.3.7 and 15.4.5).
    if (answer.method === 'HEAD' || answer.method === 'OPTIONS' || answer.status === 304) return [];
    const faults = answer.status >= 400 ? problemFaults(answer) : [];
    const plain = answer.path.replace(/\?.*/s, '');
    const path = templates.find(({ form }) => form.test(plain))?.path;
    const method = answer.method.toLowerCase();
    const operation = path === undefined ? undefined : document.paths[path]?.[method];
    if (path === undefined || operation === undefined) return faults;
    const status = String(answer.status);
    const documented = operation.responses[status];
    if (documented === undefined) return [...faults, `the status ${status} is not documented`];
    const { description, headers, content } = resolved(document, documented);
    faults.push(...headerFaults(answer, headers));
    if (content === undefined) return answer.text === '' ? faults : [...faults, 'a body is not documented'];
    const [type = ''] = (answer.headers.get('content-type') ?? '').split(';');
    if (!(type in content) && !('*/*' in content)) return [...faults, `the type "${type}" is not documented`];
    const schema = content[type]?.schema;
    if (schema === undefined || !/[/+]json$/.test(type)) return faults;
    const body = JSON.parse(answer.text) as { code?: string };
    if (answer.status >= 400 && !description.includes(`\`${body.code}\``))
      faults.push(`the code ${body.code} is not documented`);
    const steps = ['paths', path, method, 'responses', status, 'content', type, 'schema'];
    const validate = validatorOf(schema, steps);
    if (validate(body)) return faults;
    const errors = validate.errors ?? [];
    return [
      ...faults,
      ...errors.map(
        ({ instancePath, message, params }) =>
          `${instancePath || 'body'} ${message} ${params.unevaluatedProperty ?? ''}`,
      ),
    ];
  };
}

/** The response, or that of the components to which it refers. */
function resolved({ components }: OpenApiDocument, response: ResponseObject): ResponseObject {
  return components.responses[response.$ref?.split('/').at(-1) ?? ''] ?? response;
}

/** A resource's own headers are there where they are documented, and nowhere else. */
function headerFaults({ status, headers }: ReceivedResponse, documented: Json = {}): string[] {
  return ['ETag', 'Location', 'Request-Id', 'Idempotent-Replayed', 'Retry-After', 'RateLimit'].flatMap(
    (name) => {
      const isDocumented = name in documented;
      const isRequired = name === 'Request-Id' || (status < 400 && (name === 'ETag' || name === 'Location'));
      if (headers.has(name) && !isDocumented) return [`the header ${name} is not documented`];
      return isRequired && isDocumented && !headers.has(name) ? [`has no ${name}`] : [];
    },
  );
}

/**
 * Closes every object schema that names its properties, so that a member that is not documented is found. The document
 * leaves them open: clients must accept members of later versions.
 */
function closeObjects(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const schema = value as Json;
  const isObject = [schema.type].flat().includes('object') && typeof schema.properties === 'object';
  if (isObject && schema.additionalProperties === undefined) schema.unevaluatedProperties = false;
  for (const inner of Object.values(schema)) closeObjects(inner);
}

function formOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
}

/** Checks the rules of the contract for all errors (section 1). */
function problemFaults({ status, headers, text }: ReceivedResponse): string[] {
  const faults: string[] = [];
  const need = (holds: boolean, what: string) => {
    if (!holds) faults.push(what);
  };
  need(
    /^application\/problem\+json\b/.test(headers.get('content-type') ?? ''),
    'is not application/problem+json',
  );
  let body: Json = {};
  try {
    body = JSON.parse(text) as Json;
  } catch {
    return [...faults, `is not JSON: ${text.slice(0, 100)}`];
  }
  for (const name of ['type', 'title', 'detail', 'code', 'request_id'])
    need(typeof body[name] === 'string' && body[name] !== '', `has no ${name}`);
  need(body.status === status, `says status ${body.status}`);
  need(/^[a-z]+(_[a-z]+)*$/.test(String(body.code)), `code is not snake_case: ${body.code}`);
  need(body.request_id === headers.get('request-id'), 'request_id is not the Request-Id');
  need(status !== 401 || headers.has('www-authenticate'), '401 without WWW-Authenticate');
  need(status !== 405 || headers.has('allow'), '405 without Allow');
  need((status !== 429 && status !== 503) || headers.has('retry-after'), `${status} without Retry-After`);
  need(body.code !== 'validation_failed' || Array.isArray(body.errors), 'validation_failed without errors');
  need(status !== 500, 'is an internal error');
  return faults;
}

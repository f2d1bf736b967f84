// The methods of a resource, made from the table in `resources.ts`: path parameters first, then the body or the query, then
// the options.

import { OPERATIONS, type OperationId, type Ops } from './generated/client.ts';
import { PagePromise } from './pages.ts';
import type { CallInput, RequestOptions, Transport } from './transport.ts';

type Args<Op extends OperationId> = Ops[Op]['args'];

/** The path parameters as arguments. */
type PathArguments<Path extends readonly string[]> = { [Index in keyof Path]: string };

/** The body as argument, or, without one, the query. */
type InputArguments<Op extends OperationId> =
  Args<Op> extends { body: infer Body }
    ? [body: Body]
    : Args<Op> extends { body?: infer Body }
      ? 'body' extends keyof Args<Op>
        ? [body?: Body]
        : QueryArguments<Op>
      : QueryArguments<Op>;

type QueryArguments<Op extends OperationId> = 'query' extends keyof Args<Op>
  ? [query?: Args<Op> extends { query?: infer Query } ? Query : never]
  : [];

/** What an operation answers with. */
type ResultOf<Op extends OperationId> = Ops[Op] extends { mode: 'result'; result: infer Answer }
  ? Extract<Answer, { error: undefined }> extends { data: infer Data }
    ? Data
    : never
  : never;

type Answer<Data> = Data extends { data: (infer Item)[]; next_cursor: string | null }
  ? PagePromise<Data, Item>
  : Promise<Data>;

type Method<Op extends OperationId, Path extends readonly string[]> = (
  ...input: [...PathArguments<Path>, ...InputArguments<Op>, options?: RequestOptions]
) => Answer<ResultOf<Op>>;

type TableRow = readonly [OperationId, ...string[]];

export type Resource<Table extends Record<string, TableRow>> = {
  readonly [Name in keyof Table]: Table[Name] extends readonly [infer Op, ...infer Path]
    ? Op extends OperationId
      ? Path extends readonly string[]
        ? Method<Op, Path>
        : never
      : never
    : never;
};

interface Descriptor {
  id: string;
  body?: object;
  params?: readonly { name: string; in: string }[];
}

/** The methods of one resource. */
export function resource<Table extends Record<string, TableRow>>(
  transport: Transport,
  table: Table,
): Resource<Table> {
  const methods = Object.entries(table).map(([name, [operation, ...path]]) => [
    name,
    methodOf(transport, operation, path),
  ]);
  return Object.fromEntries(methods) as Resource<Table>;
}

function methodOf(transport: Transport, operation: OperationId, path: string[]) {
  const { body, params = [] }: Descriptor = OPERATIONS[operation];
  const hasQuery = params.some((one) => one.in === 'query');
  const isPaged = params.some((one) => one.name === 'cursor');
  return (...given: unknown[]) => {
    const input: CallInput = {};
    if (path.length > 0) input.path = Object.fromEntries(path.map((name, at) => [name, given[at]]));
    let next = path.length;
    if (body !== undefined) input.body = given[next++];
    else if (hasQuery) input.query = (given[next++] ?? {}) as object;
    const options = given[next] as RequestOptions | undefined;
    if (!isPaged) return transport.call(operation, input, options);
    return new PagePromise((cursor) => {
      const query = cursor === null ? input.query : { ...input.query, cursor };
      return transport.call(operation, { ...input, ...(query !== undefined && { query }) }, options);
    });
  };
}

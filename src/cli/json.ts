// JSON that users pass in flags, files or on stdin.

import { UsageError } from './faults.ts';
import { readText, type Streams } from './session.ts';

/** Reads JSON from a file or from stdin; the API checks its form. @throws UsageError */
export async function readJson<Body>(file: string | undefined, { stdin }: Streams): Promise<Body> {
  const isStdin = file === undefined || file === '-';
  if (isStdin && stdin.isTTY === true)
    throw new UsageError('Pass a file with --file, or the JSON of the task on stdin.');
  const text = isStdin ? await readAll(stdin) : await readText(file);
  return parseJson(text, isStdin ? 'stdin' : file);
}

/** Parses JSON; the API checks its form. @param source named in the error. @throws UsageError */
export function parseJson<Body>(text: string, source: string): Body {
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${source} is not JSON: ${why}`);
  }
}

async function readAll(stream: AsyncIterable<Buffer | string>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

// A second process that owns an embedded Redis, so that a test can kill the owner.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { secondCopyOf } from './second-copy.ts';

export interface EmbeddedOwner {
  readonly process: ChildProcess;
  /** Also the id of its own process group, as in a terminal. */
  readonly pid: number;
  readonly output: Interface;
  readonly redis: { readonly url: string; readonly pid: number };
}

const EMBEDDED_REDIS = secondCopyOf('src/runtime/embedded-redis.ts');

/**
 * Starts the owner and waits until its Redis runs on `dir`.
 * @param rest code that the owner runs afterwards; by default it stays alive.
 */
export async function startEmbeddedOwner(
  dir: string,
  rest = 'setInterval(() => {}, 60_000);',
): Promise<EmbeddedOwner> {
  const code = `
    import { startEmbeddedRedis } from ${JSON.stringify(EMBEDDED_REDIS)};
    const redis = await startEmbeddedRedis({ dir: process.argv[1] });
    ${rest}
    console.log(JSON.stringify(redis));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const output = createInterface(child.stdout);
  const line = await Promise.race([
    once(output, 'line').then(([text]) => String(text)),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the owner ended with ${code}`))),
  ]);
  if (child.pid === undefined) throw new Error('an owner without a pid');
  return { process: child, pid: child.pid, output, redis: JSON.parse(line) };
}

// A certificate of loopback, for servers and clients alike: it is its own authority.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { TlsFiles } from '../../src/store/redis/topology.ts';

/** Makes one for a test. @returns its PEM files, and their texts as clients need them */
export async function makeCertificate(): Promise<{ files: { cert: string; key: string }; tls: TlsFiles }> {
  const dir = await mkdtemp(join(tmpdir(), 'biolayer-tls-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test';
  const subject = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert];
  execFileSync('openssl', [...request.split(' '), ...subject], { stdio: 'ignore' });
  const text = readFileSync(cert, 'utf8');
  return { files: { cert, key }, tls: { ca: text, cert: text, key: readFileSync(key, 'utf8') } };
}

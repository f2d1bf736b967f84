// The first file of a checking thread where the sources run uncompiled. Node gives a worker thread no loader for
// TypeScript of its own, whether the process was started with tsx or by Vitest, so this one asks for it before
// the real body is read.
import { register } from 'tsx/esm/api';

register();
await import('./thread.ts');

// The first file of a checking thread when the sources are not compiled, as under tsx and Vitest. Node starts a worker
// thread without the TypeScript loader of the process, so it is registered before the thread's code is loaded.
import { register } from 'tsx/esm/api';

register();
await import('./thread.ts');

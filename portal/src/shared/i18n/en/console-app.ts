// The catalogue of the console.

export { consoleApp } from './console.ts';
export { consoleAdmin } from './console-admin.ts';
export { shared } from './shared.ts';

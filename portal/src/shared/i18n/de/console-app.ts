// The catalogue of the console.

export { consoleApp } from './console.ts';
export { shared } from './shared.ts';

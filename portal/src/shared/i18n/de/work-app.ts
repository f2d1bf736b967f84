// The catalogue of the portal.

export { shared } from './shared.ts';
export { work } from './work.ts';

// The catalogue of the portal.

export { forms } from './forms.ts';
export { shared } from './shared.ts';
export { work } from './work.ts';

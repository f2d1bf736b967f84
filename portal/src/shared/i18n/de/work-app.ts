// The catalogue of the portal.

export { forms } from './forms.ts';
export { notices } from './notices.ts';
export { shared } from './shared.ts';
export { work } from './work.ts';
export { workSettings } from './work-settings.ts';

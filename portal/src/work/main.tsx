// The worker's portal.

import { startApp } from '../shared/start-app.tsx';
import { App } from './app.tsx';
import { CATALOGUES } from './messages.ts';

startApp(CATALOGUES, <App />);

// The service worker asks which page this window shows, so that a click on a notice focuses the right one.
navigator.serviceWorker?.addEventListener('message', ({ ports }) => ports[0]?.postMessage(location.href));

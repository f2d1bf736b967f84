// The team's console.

import { startApp } from '../shared/start-app.tsx';
import { App } from './app.tsx';
import { CATALOGUES } from './messages.ts';

startApp(CATALOGUES, <App />);

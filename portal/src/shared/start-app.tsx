// Starts an app: what surrounds every page of both apps.

import { type ReactNode, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { QueriesProvider } from './api/queries.tsx';
import type { Language } from './i18n/languages.ts';
import { type Catalogue, MessagesProvider } from './i18n/messages.tsx';
import { ErrorBoundary } from './ui/error-boundary.tsx';
import { applyTheme } from './ui/preferences.tsx';
import { ToastProvider } from './ui/toast.tsx';
import './ui/tokens.css';
import './ui/base.css';
import './ui/controls.css';
import './ui/containers.css';
import './ui/layout.css';

/** @param load the catalogue of each language. */
export function startApp(load: Readonly<Record<Language, () => Promise<Catalogue>>>, app: ReactNode): void {
  applyTheme();
  const root = document.getElementById('root');
  if (root === null) throw new Error('the page has no element #root');
  createRoot(root).render(
    <StrictMode>
      <MessagesProvider load={load}>
        <ErrorBoundary>
          <QueriesProvider>
            <ToastProvider>{app}</ToastProvider>
          </QueriesProvider>
        </ErrorBoundary>
      </MessagesProvider>
    </StrictMode>,
  );
}

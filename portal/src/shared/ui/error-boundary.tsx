// Catches faults of the page itself, so that a person sees what to do instead of an empty window.

import { Component, type ReactNode } from 'react';
import { useShared } from '../i18n/messages.tsx';
import { Button } from './button.tsx';
import { CentredPage } from './layout.tsx';

export class ErrorBoundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    return this.state.failed ? <Crashed /> : this.props.children;
  }
}

function Crashed() {
  const messages = useShared();
  return (
    <CentredPage title={messages.errorSummary}>
      <p>{messages.problems.crashed}</p>
      <Button look="primary" onClick={() => location.reload()}>
        {messages.problems.reload}
      </Button>
    </CentredPage>
  );
}

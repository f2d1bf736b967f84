// The page of the console for queues.

import { EmptyState } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useAdmin, useConsole } from '../messages.ts';

export default function QueuesPage() {
  const title = useConsole().nav.queues;
  return (
    <Page title={title}>
      <EmptyState icon="settings" title={useAdmin().empty} />
    </Page>
  );
}

// The page of the console for workers.

import { EmptyState } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useAdmin, useConsole } from '../messages.ts';

export default function WorkersPage() {
  const title = useConsole().nav.workers;
  return (
    <Page title={title}>
      <EmptyState icon="people" title={useAdmin().empty} />
    </Page>
  );
}

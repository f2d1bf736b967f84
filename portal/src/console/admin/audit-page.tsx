// The page of the console for audit.

import { EmptyState } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useAdmin, useConsole } from '../messages.ts';

export default function AuditPage() {
  const title = useConsole().nav.audit;
  return (
    <Page title={title}>
      <EmptyState icon="history" title={useAdmin().empty} />
    </Page>
  );
}

// The page of the console for webhooks.

import { EmptyState } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useAdmin, useConsole } from '../messages.ts';

export default function WebhooksPage() {
  const title = useConsole().nav.webhooks;
  return (
    <Page title={title}>
      <EmptyState icon="link" title={useAdmin().empty} />
    </Page>
  );
}

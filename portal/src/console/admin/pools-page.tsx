// The page of the console for pools.

import { EmptyState } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useAdmin, useConsole } from '../messages.ts';

export default function PoolsPage() {
  const title = useConsole().nav.pools;
  return (
    <Page title={title}>
      <EmptyState icon="inbox" title={useAdmin().empty} />
    </Page>
  );
}

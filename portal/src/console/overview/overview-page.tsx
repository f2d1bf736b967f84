// The page of the console for overview.

import { EmptyState } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useAdmin, useConsole } from '../messages.ts';

export default function OverviewPage() {
  const title = useConsole().nav.overview;
  return (
    <Page title={title}>
      <EmptyState icon="chart" title={useAdmin().empty} />
    </Page>
  );
}

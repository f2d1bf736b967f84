// The page of the console for keys.

import { EmptyState } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useAdmin, useConsole } from '../messages.ts';

export default function KeysPage() {
  const title = useConsole().nav.keys;
  return (
    <Page title={title}>
      <EmptyState icon="key" title={useAdmin().empty} />
    </Page>
  );
}

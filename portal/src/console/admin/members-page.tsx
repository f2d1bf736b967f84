// The page of the console for members.

import { EmptyState } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useAdmin, useConsole } from '../messages.ts';

export default function MembersPage() {
  const title = useConsole().nav.members;
  return (
    <Page title={title}>
      <EmptyState icon="people" title={useAdmin().empty} />
    </Page>
  );
}

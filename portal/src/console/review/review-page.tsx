// The page of the console for review.

import { EmptyState } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useAdmin, useConsole } from '../messages.ts';

export default function ReviewPage() {
  const title = useConsole().nav.review;
  return (
    <Page title={title}>
      <EmptyState icon="check" title={useAdmin().empty} />
    </Page>
  );
}

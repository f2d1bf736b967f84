// The page of the console for tasks.

import { EmptyState } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useAdmin, useConsole } from '../messages.ts';

export default function TasksRoomPage() {
  const title = useConsole().nav.tasks;
  return (
    <Page title={title}>
      <EmptyState icon="tasks" title={useAdmin().empty} />
    </Page>
  );
}

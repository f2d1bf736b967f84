// The notices that a worker was sent, as their team sees them.

import { api } from '../../shared/api/client.ts';
import { NoticeList } from '../../shared/notices/notice-list.tsx';
import { Card } from '../../shared/ui/containers.tsx';
import { useConsoleWorkers } from '../messages.ts';

export function WorkerNotices({ workerId }: { workerId: string }) {
  const { notices: text } = useConsoleWorkers();
  return (
    <Card title={text.title}>
      <NoticeList
        queryKey={['worker-notices', workerId]}
        load={(query) => api.workers.listNotifications(workerId, query)}
        taskPath="/console/tasks"
        none={text.none}
      />
    </Card>
  );
}

// What to do with the selected tasks.

import { useState } from 'react';
import { Button } from '../../shared/ui/button.tsx';
import { useMember } from '../member.tsx';
import { useTasks } from '../messages.ts';
import { hasScope } from '../session.ts';
import { actionsOf } from './bulk-actions.ts';
import { BulkDialog } from './bulk-dialog.tsx';
import { apiFilters, type Filters, isUnfiltered } from './filters.ts';
import type { Selection } from './selection.ts';

export function BulkBar({ selection, filters }: { selection: Selection; filters: Filters }) {
  const text = useTasks().bulk;
  const member = useMember();
  const [isOpen, setOpen] = useState(false);
  const actions = actionsOf((scope) => hasScope(member, scope));
  const { order: _order, order_by: _orderBy, ...filter } = apiFilters(filters);
  return (
    <div className="row bulk-bar" role="status">
      <strong>{selection.isAllMatching ? text.allMatching : text.selected(selection.ids.size)}</strong>
      {!selection.isAllMatching && !isUnfiltered(filters) && (
        <Button size="small" onClick={selection.selectMatching}>
          {text.selectMatching}
        </Button>
      )}
      {actions.length > 0 && (
        <Button size="small" look="primary" onClick={() => setOpen(true)}>
          {text.change}
        </Button>
      )}
      <Button size="small" look="quiet" onClick={selection.clear}>
        {text.clear}
      </Button>
      {isOpen && (
        <BulkDialog
          actions={actions}
          tasks={selection.isAllMatching ? { filter } : { task_ids: [...selection.ids] }}
          onClose={() => setOpen(false)}
          onStarted={() => {
            setOpen(false);
            selection.clear();
          }}
        />
      )}
    </div>
  );
}

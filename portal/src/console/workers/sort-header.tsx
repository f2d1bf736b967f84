// The head of a column by which a table can be put in order.

import { Icon } from '../../shared/ui/icons.tsx';
import '../console.css';

export function SortHeader({
  label,
  title,
  direction,
  onSort,
  className,
}: {
  label: string;
  title?: string | undefined;
  /** Null when the table is in another order. */
  direction: 'ascending' | 'descending' | null;
  onSort: () => void;
  className?: string | undefined;
}) {
  return (
    <th scope="col" className={className} aria-sort={direction ?? undefined} title={title}>
      <button type="button" className="sort-button" onClick={onSort}>
        {label}
        {direction !== null && <Icon name={direction === 'ascending' ? 'up' : 'down'} />}
      </button>
    </th>
  );
}

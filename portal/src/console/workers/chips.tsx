// Short words in a row, such as skills.

import { Badge } from '../../shared/ui/badge.tsx';
import '../console.css';

/** Most words that a cell of a table shows. */
const MOST_CHIPS = 3;

export function Chips({ items, most = MOST_CHIPS }: { items: readonly string[]; most?: number }) {
  if (items.length === 0) return '–';
  return (
    <span className="chips" title={items.join(', ')}>
      {items.slice(0, most).map((one) => (
        <Badge key={one}>{one}</Badge>
      ))}
      {items.length > most && <span className="muted small">+{items.length - most}</span>}
    </span>
  );
}

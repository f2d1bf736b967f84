// Checkboxes for pools.

import { Choice, FieldGroup, type FieldProps } from '../../shared/ui/field.tsx';
import { useConsoleWorkers } from '../messages.ts';
import { usePools } from './pool-data.ts';
import '../console.css';

export function PoolChoice({
  value,
  onChange,
  ...field
}: FieldProps & { value: readonly string[]; onChange: (ids: string[]) => void }) {
  const pools = usePools();
  const { hints } = useConsoleWorkers();
  const known = new Set(pools.map((pool) => pool.pool_id));
  // Pools that are chosen already and not in the list stay chosen.
  const all = [
    ...pools,
    ...value.filter((id) => !known.has(id)).map((pool_id) => ({ pool_id, name: pool_id })),
  ];
  return (
    <FieldGroup {...field}>
      {all.length === 0 && <p className="muted small">{hints.noPools}</p>}
      <div className="choices">
        {all.map(({ pool_id, name }) => (
          <Choice
            key={pool_id}
            type="checkbox"
            checked={value.includes(pool_id)}
            onChange={(event) =>
              onChange(event.target.checked ? [...value, pool_id] : value.filter((one) => one !== pool_id))
            }
          >
            {name}
          </Choice>
        ))}
      </div>
    </FieldGroup>
  );
}

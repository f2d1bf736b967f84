// What a credential or member may do, in a table.

import { useConsoleAccess } from '../messages.ts';
import { usePoolName } from '../pools/pool-data.ts';
import { Chips } from '../workers/chips.tsx';

export function ScopesText({ scopes }: { scopes: readonly string[] }) {
  const text = useConsoleAccess();
  if (scopes.includes('*')) return text.allOfIt;
  return <span title={scopes.join(', ')}>{text.permissionCount(scopes.length)}</span>;
}

export function PoolsText({ pools }: { pools: readonly string[] }) {
  const text = useConsoleAccess();
  const poolName = usePoolName();
  return pools.includes('*') ? text.allPools : <Chips items={pools.map(poolName)} />;
}

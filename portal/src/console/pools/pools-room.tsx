// The pages for pools.

import { Route, Switch } from 'wouter';
import '../console.css';
import { PoolPage } from './pool-page.tsx';
import { PoolsPage } from './pools-page.tsx';

export default function PoolsRoom() {
  return (
    <Switch>
      <Route path="/console/pools/:id">{({ id }) => <PoolPage key={id} id={id} />}</Route>
      <Route>
        <PoolsPage />
      </Route>
    </Switch>
  );
}

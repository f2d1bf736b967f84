// The pages for workers.

import { Route, Switch, useSearch } from 'wouter';
import { useMay } from '../member.tsx';
import { InvitePage } from './invite-page.tsx';
import { WorkerPage } from './worker-page.tsx';
import { WorkersPage } from './workers-page.tsx';

export default function WorkersRoom() {
  const mayWrite = useMay('workers:write');
  // A query parameter, because `/console/workers/invite` would be the page of a worker with the id `invite`.
  const isInviting = new URLSearchParams(useSearch()).has('invite');
  return (
    <Switch>
      <Route path="/console/workers/:id">{({ id }) => <WorkerPage key={id} id={id} />}</Route>
      <Route>{isInviting && mayWrite ? <InvitePage /> : <WorkersPage />}</Route>
    </Switch>
  );
}

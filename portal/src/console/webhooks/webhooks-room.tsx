// The pages for webhooks.

import { Route, Switch } from 'wouter';
import '../console.css';
import { EndpointPage } from './endpoint-page.tsx';
import { WebhooksPage } from './webhooks-page.tsx';

export default function WebhooksRoom() {
  return (
    <Switch>
      <Route path="/console/webhooks/:id">{({ id }) => <EndpointPage key={id} id={id} />}</Route>
      <Route>
        <WebhooksPage />
      </Route>
    </Switch>
  );
}

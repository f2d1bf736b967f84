// Where the operator of the server sees the queues: Bull Board, a page of its own with a credential of its own.

import { Icon } from '../../shared/ui/icons.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useConsole, useConsoleOrg } from '../messages.ts';

const BOARD = '/admin/queues';

export default function QueuesRoom() {
  const { queues: text } = useConsoleOrg();
  const { nav } = useConsole();
  return (
    <Page title={nav.queues} narrow>
      <p>{text.text}</p>
      <div>
        <a className="button button-primary" href={BOARD} target="_blank" rel="noreferrer">
          <Icon name="chart" />
          {text.open}
          <span className="visually-hidden"> ({text.newTab})</span>
        </a>
      </div>
    </Page>
  );
}

// The header cell of a table's column with the buttons of each row; only screen readers read it.

import { useConsoleAccess } from '../messages.ts';

export function ActionsHeader() {
  return (
    <th scope="col">
      <span className="visually-hidden">{useConsoleAccess().keys.actions}</span>
    </th>
  );
}
